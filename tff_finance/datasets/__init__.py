"""Contracts and tables. Nothing here imports TensorFlow."""
