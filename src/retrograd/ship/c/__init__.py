"""A network as one C file without dependencies, for devices without a runtime."""
