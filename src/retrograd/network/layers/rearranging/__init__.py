"""The same values in other positions: other shapes, other orders, parts and borders."""
