"""Privacy: units, clipping, noise, accounting."""
