"""The house: every module imports its own floor and lower ones, at the top of the file; nothing imports in a circle."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "retrograd"
FLOORS = [
    "base", "present", "data", "native", "distributed", "network", "propagation", "checking", "update", "record", "report", "training", "diagnosis",
    "repairs", "tuning", "estimator", "sklearn", "tracing", "explanation", "ship", "interop", "torch", "studio", "app", "__main__",
]  # fmt: skip
ROOMS = {  # of a floor or of a room, lowest first; a kind's settings belong to the lowest, wherever they lie
    "data": [
        "settings", "batches", "report", "table", "decimal_points", "patterns", "column_files", "scanned", "read", "cells", "arrays", "split", "tables",
        "texts", "windows", "images", "audio", "path_columns", "builtin", "mapped_columns", "prefetch", "preprocessing", "row_places", "cache", "source", "streaming", "dataset",
    ],
    "network": [
        "equations", "initializers", "own_layers", "layer", "located", "scope", "layers", "losses", "entries", "finish",
        "transformer", "network", "in_use", "adapt", "blocks", "fuse", "precision", "decimals",
    ],
    "network.layers": [
        "shared", "activations", "identity", "reducing", "merging", "dense", "embedding", "noise", "augmentation",
        "normalisation", "convolution", "rearranging", "pooling", "boxes", "attention", "recurrent", "parametrised",
    ],
}  # fmt: skip
MOST_FILES = 20
LISTS = {"diagnosis/symptoms"}  # folders whose files are the entries of a list
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def own_imports(path: Path) -> list[tuple[str, bool]]:
    """The modules of this package that a file imports, and whether it does so at the top."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    top = {id(node) for body in (tree.body, *(node.body for node in typing)) for node in body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("retrograd"):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if name in NAMES else node.module for name in names]
            found += [(module, id(node) in top) for module in modules]
        elif isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names if alias.name.startswith("retrograd")]
    return found


NAMES = {module_name(path) for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_module_imports_only_its_own_floor_and_lower_ones_at_the_top_of_the_file(path):
    floor = FLOORS.index(module_name(path).split(".")[1])
    for imported, at_top in own_imports(path):
        assert at_top, f"{module_name(path)} imports {imported} inside a function"
        if imported != "retrograd":
            assert FLOORS.index(imported.split(".")[1]) <= floor, (
                f"{module_name(path)} imports {imported}, a higher floor"
            )


def room(module: str, around: str) -> str:
    """Return the room of a module within a floor or room, that of the settings for every `settings` module."""
    inside = module.removeprefix(f"retrograd.{around}.").split(".")
    return "settings" if inside[-1] == "settings" else inside[0]


@pytest.mark.parametrize("path", [path for path in MODULES if path.name != "__init__.py"], ids=module_name)
def test_a_module_imports_only_its_own_room_and_lower_ones_of_its_floor(path):
    module = module_name(path)
    for around, rooms in ROOMS.items():
        inside = f"retrograd.{around}."
        for imported, _ in own_imports(path) if module.startswith(inside) else ():
            if imported.startswith(inside):
                here, there = rooms.index(room(module, around)), rooms.index(room(imported, around))
                assert there <= here, f"{module} imports {imported}"


def test_a_folder_holds_no_more_files_than_one_can_survey():
    folders = {path.parent for path in MODULES} - {SOURCE / name for name in LISTS}
    counts = {folder: len([*folder.glob("*.py")]) - (folder / "__init__.py").exists() for folder in folders}
    assert not {str(folder): count for folder, count in counts.items() if count > MOST_FILES}


def test_no_modules_import_each_other_in_a_circle():
    graph = {module_name(path): {name for name, _ in own_imports(path)} for path in MODULES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done or name not in graph:
            return
        for other in graph[name]:
            if not name.startswith(
                other + "."
            ):  # a package's __init__ names its modules; they name it only by lying in it
                visit(other, (*trail, name))
        done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_a_file_holds_one_concept_in_about_three_hundred_lines(path):
    most = 400 if path.name == "retrograd_edge.py" else 330  # which goes to its user as one file
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, retrograd; print([m for m in ('jax', 'numpy', 'sklearn', 'polars', 'pydantic', 'rich') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from retrograd.app.cli.main import main; main(['--help']);"
        "print([m for m in ('jax', 'sklearn', 'polars', 'plotly', 'pydantic') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
