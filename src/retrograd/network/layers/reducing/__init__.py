"""Values along an axis summarised, or divided by their length."""
