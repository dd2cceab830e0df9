"""Build the native kernels into a wheel, where there is a compiler; all else stands in pyproject.toml."""

import runpy
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

kernels = runpy.run_path(str(Path(__file__).parent / "src/retrograd/native/build.py"))


def missing():
    """Return why there will be no kernels, or nothing."""
    try:
        kernels["compiler"](), kernels["headers"]()
    except kernels["Unavailable"] as reason:
        return str(reason)
    return ""


class WithKernels(Distribution):
    """A distribution for one platform, if it holds kernels."""

    def has_ext_modules(self):
        return not missing()


class BuildKernels(build_py):
    """Compile the kernels beside the copied modules; an editable install leaves that to `make`."""

    def run(self):
        super().run()
        if not self.editable_mode:
            kernels["main"](["--output", str(Path(self.build_lib) / "retrograd/native/kernels.so")])


class AnyPython(bdist_wheel):
    """The kernels do not depend on the version of Python."""

    def get_tag(self):
        python, abi, platform = super().get_tag()
        return ("py3", "none", platform) if not self.root_is_pure else (python, abi, platform)


setup(distclass=WithKernels, cmdclass={"build_py": BuildKernels, "bdist_wheel": AnyPython})
