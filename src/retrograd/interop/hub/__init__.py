"""Pretrained weights of other programs: a configuration from their folder, and the folder written back."""
