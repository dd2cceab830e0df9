"""Image files as data: where they lie, how they are decoded, and masks or boxes as targets."""
