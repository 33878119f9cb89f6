"""Learning processes, one per file, and the references beside them."""
