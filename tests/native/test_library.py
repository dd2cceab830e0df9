"""Building, finding and switching off the kernels; nothing ever fails for want of them."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

import retrograd as rg
from retrograd.app.cli import version
from retrograd.app.cli.main import main
from retrograd.native import build, library
from retrograd.native.library import loaded
from retrograd.training.run import train

CODE = "from retrograd.native.library import loaded; print(loaded())"


def looked_for():
    """What a search for the library that begins now finds."""
    return str(library._load.__wrapped__())


def test_a_variable_turns_them_off(monkeypatch):
    monkeypatch.setenv("RETROGRAD_KERNELS", "off")
    assert looked_for() == "native kernels: off (RETROGRAD_KERNELS=off)"


def test_a_missing_or_damaged_library_is_reported_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("RETROGRAD_KERNELS", raising=False)
    monkeypatch.setattr(build, "LIBRARY", tmp_path / "none.so")
    assert looked_for().startswith("native kernels: off (not built; build them with python -m retrograd.native.build")
    monkeypatch.setattr(build, "LIBRARY", tmp_path / "bad.so")
    (tmp_path / "bad.so").write_bytes(b"nonsense")
    assert looked_for().startswith("native kernels: off (bad.so cannot be loaded:")


def test_an_older_variant_can_be_asked_for(variant):
    oldest = "x86_64_v2" if variant.startswith("x86_64") else variant
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, env={**os.environ, "RETROGRAD_KERNELS": oldest}
    )
    assert done.stdout == f"native kernels: {oldest}\n", done.stderr


def test_a_variant_that_does_not_exist_is_an_error(variant, monkeypatch):
    monkeypatch.setenv("RETROGRAD_KERNELS", "v9")
    with pytest.raises(rg.UsageError, match="RETROGRAD_KERNELS=v9: expected off, or one of"):
        looked_for()


def test_kernels_of_other_sources_are_not_used(variant, monkeypatch):
    monkeypatch.setattr(build, "digest", lambda: "another")
    assert "built from other sources" in library._load.__wrapped__().reason


def test_without_a_compiler_one_line_says_so_and_nothing_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.main(["--output", str(tmp_path / "kernels.so")]) == 0
    assert capsys.readouterr().err == (
        "native kernels: not built (no C++ compiler on PATH); XLA's formulas are used instead\n"
    )
    assert build.main(["--strict"]) == 1
    assert not list(tmp_path.iterdir())


def test_a_compiler_that_fails_leaves_what_was_there(tmp_path, monkeypatch, capsys):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'x.cc:1: error: no such thing' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    target = tmp_path / "kernels.so"
    target.write_bytes(b"before")
    assert build.main(["--output", str(target)]) == 0
    assert "no such thing" in capsys.readouterr().err
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("name", ["CXX=nowhere", "machine"])
def test_what_cannot_be_built_is_named(name, monkeypatch):
    if name == "machine":
        with pytest.raises(build.Unavailable, match="riscv64 is not supported"):
            build.build(machine="riscv64")
    else:
        monkeypatch.setenv("CXX", "/nowhere/c++ -m64")
        with pytest.raises(build.Unavailable, match="nowhere"):
            build.build()


def test_the_configuration_turns_them_off(variant, tmp_path, monkeypatch):
    seen = []

    def trained(*_, **__):
        seen.append(library.active())
        return SimpleNamespace(folder=tmp_path)

    monkeypatch.setattr(sys.modules["retrograd.training.run"], "train_into", trained)
    for wanted in (True, False):
        config = {"data": "xor", "network": [{"dense": 1}], "training": {"native_kernels": wanted}}
        train(config, root=tmp_path)
    assert seen == [True, False]


def test_the_version_says_which_kernels_are_active(capsys):
    assert main(["--version", "--verbose"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"retrograd {rg.__version__}"
    assert lines[-1] == str(loaded())


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([("cpu", 0)], "device: cpu, "),
        ([("cpu", 0)] * 2, "device: cpu of 2 devices, "),
        ([("NVIDIA H200", 2**37)] * 2, "device: gpu: 2 x NVIDIA H200 (128 GiB); programs compiled by XLA; host: "),
    ],
)
def test_the_version_lists_the_devices_that_jax_finds(kinds, expected, monkeypatch):
    found = [
        SimpleNamespace(device_kind=kind, memory_stats=lambda size=size: {"bytes_limit": size} if size else None)
        for kind, size in kinds
    ]
    monkeypatch.setattr(version.jax, "local_devices", lambda: found)
    monkeypatch.setattr(version.jax, "default_backend", lambda: "cpu" if kinds[0][0] == "cpu" else "gpu")
    assert version.devices().startswith(expected)
