"""The graph of layers: what a network is, before anything runs."""
