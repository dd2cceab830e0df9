"""Convolutions, and what lies beyond an image's border."""
