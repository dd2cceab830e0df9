"""Attention and the positions that it needs."""
