"""What a configuration means, line by line."""
