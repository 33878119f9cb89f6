"""How fast, and how large: this package side by side with its alternatives."""
