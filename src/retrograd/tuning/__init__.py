"""Searches for settings that work: ranges, methods, studies on disk, the learning rate, the optimizer."""
