"""Manual pages: of everything that a configuration can name, of findings and remedies, and of the field's concepts."""
