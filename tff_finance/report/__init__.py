"""Tables and figures from records alone. Nothing here imports TensorFlow."""
