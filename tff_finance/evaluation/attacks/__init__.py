"""Attacks that measure what models and updates tell of the rows behind them."""
