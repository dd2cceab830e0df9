"""The same values in other places: other shapes, other orders, parts and borders."""
