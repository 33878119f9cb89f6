"""Aggregation factories: what the server makes of the institutions' updates."""
