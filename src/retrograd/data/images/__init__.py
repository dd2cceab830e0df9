"""Image files as data: finding them, decoding them, and masks or boxes as targets."""
