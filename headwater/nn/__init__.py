"""Layers: they know tensors and layouts, never objectives."""
