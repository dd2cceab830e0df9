"""Pretrained weights of other programs: make a configuration from their folder, and write such a folder."""
