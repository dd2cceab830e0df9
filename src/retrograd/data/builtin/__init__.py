"""Data that needs no file: bundled, generated, or written in the configuration."""
