"""Kernels in C++, called through jax.ffi where they are faster than XLA's formula, which stays the reference."""
