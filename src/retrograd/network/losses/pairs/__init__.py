"""Losses of embeddings and scores that are compared with each other."""
