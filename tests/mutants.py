"""Change one file in small ways, one after another, and tell which changes no test notices: `make mutants FILE=...`.

    python tests/mutants.py src/retrograd/propagation/empty.py [tests/propagation/test_backprop.py ...]

Without tests named, those run that `make check` would run for the file. The changes are made by cosmic-ray in a copy of
the sources under `build/mutants`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from changed import ROOT, tests_of

COPY = ROOT / "build" / "mutants"
SECONDS = 300  # for the tests of one change: longer is an endless loop, and noticed
SAME = (  # changes that cannot be noticed: of annotations, which are not evaluated, and of a file's order of decorators
    "core/ReplaceBinaryOperator_BitOr_.*",
)


def settings(file: Path, tests: list[str]) -> str:
    """Return cosmic-ray's configuration."""
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {' '.join(tests)}"
    return f"""
[cosmic-ray]
module-path = "{file.relative_to(ROOT)}"
timeout = {SECONDS}
test-command = "{command}"
distributor.name = "local"
[cosmic-ray.filters.operators-filter]
exclude-operators = {list(SAME)}
"""


def main(name: str, *tests: str) -> int:
    """Run all of it; print the changes that survived and their share."""
    file = (ROOT / name).resolve()
    shutil.rmtree(COPY, ignore_errors=True)
    for folder in ("src", "tests", "examples", "docs"):
        shutil.copytree(ROOT / folder, COPY / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", COPY)
    chosen = [str(Path(test).resolve().relative_to(ROOT)) for test in tests or tests_of([str(file.relative_to(ROOT))])]
    (COPY / "mutants.toml").write_text(settings(file, chosen), encoding="utf-8")
    paths = [str(COPY / "src"), str(Path(sys.executable).parent)]
    environment = {**os.environ, "PYTHONPATH": paths[0], "PATH": f"{paths[1]}{os.pathsep}{os.environ['PATH']}"}
    print(f"{name}, by {', '.join(chosen)}", flush=True)
    for command in (
        ["cosmic-ray", "init", "mutants.toml", "mutants.sqlite", "--force"],
        ["cr-filter-operators", "mutants.sqlite", "mutants.toml"],
        ["cosmic-ray", "baseline", "mutants.toml"],
        ["cosmic-ray", "exec", "mutants.toml", "mutants.sqlite"],
        ["cr-report", "mutants.sqlite", "--surviving-only", "--show-diff"],
    ):
        done = subprocess.run(command, cwd=COPY, env=environment)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
