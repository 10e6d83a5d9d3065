"""How an example becomes a sequence, and back: one file a kind."""
