"""The build backend: setuptools, which needs jaxlib's headers too where a C++ compiler can build the native kernels.

An editable install builds no kernels (`make`, or `python -m retrograd.native.build`, does so in place, with the headers
of the jaxlib that will run them), so it needs nothing more either.
"""

import runpy
import tomllib
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403  # every other hook is setuptools' own

ROOT = Path(__file__).parent.parent


def get_requires_for_build_wheel(config_settings=None):
    """Return what setuptools needs, and jaxlib in the versions for which the project asks, if there is a compiler."""
    needed = build_meta.get_requires_for_build_wheel(config_settings)
    kernels = runpy.run_path(str(ROOT / "src/retrograd/native/build.py"))
    try:
        kernels["compiler"]()
    except kernels["Unavailable"]:
        return needed
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*needed, *(name.replace("jax", "jaxlib", 1) for name in project["dependencies"] if name.startswith("jax"))]
