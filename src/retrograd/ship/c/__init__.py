"""A network as one C file without dependency, for devices that have no runtime."""
