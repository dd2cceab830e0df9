"""Settings of the whole suite: two virtual devices are not needed, float64 is switched on where a test asks for it."""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
