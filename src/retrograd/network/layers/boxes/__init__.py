"""Layers of boxes: x_min, y_min, x_max, y_max as shares of the image, the parts of a two-stage detector."""
