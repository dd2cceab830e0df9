"""The foundation of every other package: errors with a place, registries, paths, keys, the schema of settings."""
