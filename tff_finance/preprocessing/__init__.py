"""One encoder for all institutions, fitted from summable statistics."""
