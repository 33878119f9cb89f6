"""Federated learning between financial institutions on TensorFlow Federated."""
