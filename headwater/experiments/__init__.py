"""Experiments: which cells to train, and what their results mean together."""
