"""`retrograd.torch` is there without PyTorch, and says what is missing when it is used."""

import importlib.util
import subprocess
import sys

import pytest

import retrograd
from retrograd.base.errors import UsageError


def test_importing_retrograd_and_naming_the_doctor_loads_no_torch():
    code = "import sys, retrograd; retrograd.torch; print([m for m in ('jax', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_without_pytorch_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'retrograd\[torch\]'"):
        _ = retrograd.torch.watch


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'wach'"):
        _ = retrograd.torch.wach


def test_retrograd_torch_is_a_module_that_can_be_imported_and_leaves_pytorchs_own_name_alone():
    code = (
        "import sys, retrograd.torch, retrograd.torch as door; import retrograd; "
        "assert door is retrograd.torch is sys.modules['retrograd.torch']; "
        "print(retrograd.torch.__name__, 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["retrograd.interop.torch", "False"]


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="PyTorch is installed")
def test_from_import_without_pytorch_names_the_cure():
    with pytest.raises(UsageError, match=r"pip install 'retrograd\[torch\]'"):
        from retrograd.torch import watch  # noqa: F401
