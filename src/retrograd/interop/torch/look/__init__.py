"""A close look at one turn of a PyTorch loop."""
