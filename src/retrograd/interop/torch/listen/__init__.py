"""Listening to a PyTorch loop: what happens is noted, at little cost."""
