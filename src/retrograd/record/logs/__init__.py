"""The log of a run: written line by line, its ends read fast, followed while it grows; and the weights on its way."""
