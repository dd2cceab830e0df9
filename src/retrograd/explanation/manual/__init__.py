"""Manual pages for everything a configuration can name, for findings and remedies, and for the field's concepts."""
