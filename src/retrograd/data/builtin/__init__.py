"""Data that need no file: bundled, generated, or written in the configuration."""
