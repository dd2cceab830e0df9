"""Dividing rows into training, validation and test part."""
