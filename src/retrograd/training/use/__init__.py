"""Trained networks at work: evaluated, judged, asked for predictions and texts."""
