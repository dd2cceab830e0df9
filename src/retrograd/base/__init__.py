"""What every floor stands on: errors with a place, registries, paths, keys, the schema of settings."""
