"""Configuration and results as frozen values. Nothing here imports TensorFlow."""
