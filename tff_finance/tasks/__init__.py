"""Business tasks: contract, Keras model, and what success means."""
