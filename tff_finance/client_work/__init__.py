"""What an institution does in a round."""
