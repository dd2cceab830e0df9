"""Errors that say where, what was found, what was expected, and the cure; each kind has its exit code."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from retrograd.base.plain_text import plain
from retrograd.base.sentence import Sentence, joined
from retrograd.base.synonyms import same_things

INTERNAL, INTERRUPTED = 1, 130  # exit codes without a RetrogradError
MOST_FILES = 1000  # of a folder, compared with a misspelt name
SIMILAR_FILE = 0.75  # two letters of eight may differ


class Problem(NamedTuple):
    """One mistake: its place, what is wrong, and how to fix it."""

    where: str
    message: str
    cure: str = ""

    @property
    def sentence(self) -> Sentence:
        """The problem in one sentence, with the settings that it mentions."""
        place = f"{self.where}: " if self.where else ""
        return Sentence(place) + self.message + ("; " + self.cure if self.cure else "")

    def __str__(self) -> str:
        return str(self.sentence)


class RetrogradError(Exception):
    """A fault that the user can fix; the command line prints `str(error)` after `error:`.

    Pass one message (with its place and cure), or several `Problem`s found together.
    """

    exit_code = 2
    located = False  # whether the message already names a node or objective of the network

    def __init__(self, message: str | Sequence[Problem], *, where: str = "", cure: str = "") -> None:
        self.problems = (Problem(where, message, cure),) if isinstance(message, str) else tuple(message)
        super().__init__(plain(str(self.sentence)))

    @property
    def sentence(self) -> Sentence:
        """The problems, one on each line, with the settings that they mention."""
        return joined("\n", (problem.sentence for problem in self.problems))


class UsageError(RetrogradError, ValueError):
    """A command line or call asks for something missing or impossible."""


class ConfigError(RetrogradError, ValueError):
    """A setting of a configuration is unknown, of the wrong type or impossible."""


class ShapeError(RetrogradError, ValueError):
    """The shapes of arrays do not fit a layer or one another."""


class DataError(RetrogradError, ValueError):
    """A data file or array cannot be used in its current form."""


class LabelError(DataError, IndexError):
    """A label or identifier is outside the range known to the network."""


class DataTypeError(DataError, TypeError):
    """Values have an unsuitable type, such as fractions for class labels."""


class RunInUseError(RetrogradError):
    """Another process writes to this run folder."""

    exit_code = 3


class ModelFileError(RetrogradError, ValueError):
    """A model or checkpoint file is damaged, foreign, or does not fit the network."""

    exit_code = 4


class NonFiniteError(RetrogradError, ArithmeticError):
    """Training produced NaN or infinity."""

    exit_code = 5


class ResourceError(RetrogradError, OSError):
    """Disk full, no permission, read-only, or out of memory."""

    exit_code = 6


class GradientError(RetrogradError, ArithmeticError):
    """A backward pass is not the derivative of its forward pass."""

    exit_code = 7


class RetrogradWarning(UserWarning):
    """Something that works but that the user should know about; the command line prints it after `warning:`."""

    def __str__(self) -> str:
        return plain(super().__str__())


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for a synonym or misspelling of a known name, else the list of known names."""
    names = sorted(known)
    near = nearest(word, names)
    if near:
        *others, last = [f"'{name}'" for name in near]
        return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"
    return f"known: {', '.join(names)}" if names else ""


def nearest(word: str, names: Sequence[str]) -> Sequence[str]:
    """Return the known names for a synonym or misspelling; empty if there is none."""
    return same_things(word, names) or difflib.get_close_matches(word, names, n=1, cutoff=0.6)


def near_file(path: str | os.PathLike[str]) -> str:
    """Return `did you mean 'house.csv'?` for a missing file with a similar name beside it, else `check the path`."""
    folder, name = os.path.split(os.fspath(path))
    names: list[str] = []
    with contextlib.suppress(OSError, ValueError), os.scandir(folder or ".") as entries:  # ValueError: a NUL
        names = [entry.name for entry in itertools.islice(entries, MOST_FILES)]
    near = difflib.get_close_matches(name, names, n=1, cutoff=SIMILAR_FILE)
    near = near or [other for other in sorted(names) if name and os.path.splitext(other)[0] == name]
    return f"did you mean '{os.path.join(folder, near[0])}'?" if near else "check the path"
