"""Run, for at most a minute, the tests of what changed since main: `make changed`.

Changed test files come first, then those named like a changed module, then those that import one, then those of its room
where none has its name. What the minute leaves no time for is skipped: `make test` runs everything.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SECONDS = 60.0


def git(*words: str) -> list[str]:
    """Return the lines of git's answer; none where it fails, as in a copy without a history."""
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.split()


def changed_files() -> list[str]:
    """Return what differs from the commit where this branch left main, and new files."""
    (base,) = git("merge-base", "HEAD", "main") or ["HEAD"]
    return git("diff", "--name-only", "--diff-filter=d", base) + git("ls-files", "--others", "--exclude-standard")


def tests_of(changed: Iterable[str]) -> list[str]:
    """Return the test files to run, the nearest first."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    modules = [Path(name).relative_to("src") for name in changed if re.match(r"src/retrograd/.*\.py$", name)]
    near = [ROOT / name for name in changed if ROOT / name in texts]
    near += [path for module in modules for path in texts if path.stem == f"test_{module.stem}"]
    for module in modules:
        name = ".".join(module.with_suffix("").parts).removesuffix(".__init__")
        parent, _, last = name.rpartition(".")
        imported = re.compile(rf"from {name} import|import {name}\b|from {parent} import .*\b{last}\b")
        near += [path for path, text in texts.items() if imported.search(text)]
    named = {path.stem for path in near}
    rooms = {ROOT / "tests" / module.parts[1] for module in modules if f"test_{module.stem}" not in named}
    near += [path for path in texts if path.parent in rooms]
    return [str(path) for path in dict.fromkeys(near)]


class Minute:
    """Skips the tests that begin after it."""

    def __init__(self) -> None:
        self.end = time.monotonic() + SECONDS

    def pytest_runtest_setup(self) -> None:
        """Look at the clock."""
        if time.monotonic() > self.end:
            pytest.skip("the minute is over; `make test` runs all")


if __name__ == "__main__":
    files = tests_of(changed_files())
    print(f"{len(files)} test files of what changed", flush=True)
    sys.exit(pytest.main(["-m", "not slow", "-r", "f", *files], [Minute()]) if files else 0)
