"""Comparison of methods, gain per institution, intervals."""
