"""Losses with a margin: what is right by far enough costs nothing."""
