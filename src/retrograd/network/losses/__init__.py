"""Losses: layers with a scalar output."""
