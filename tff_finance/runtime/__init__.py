"""Where TFF computations execute."""
