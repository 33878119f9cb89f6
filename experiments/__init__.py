"""Binaries: flags in, one call, files out."""
