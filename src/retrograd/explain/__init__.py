"""What a person reads: one thing explained, one step traced, every gradient checked."""
