"""Events: what happens in a run, one line of JSON each, appended as it happens.

    {"kind": "epoch", "time": "2031-05-01T09:30:00.000+00:00", "epoch": 1, "step": 50, "loss": 0.31, ...}

NaN and infinities stand in the file as the texts "nan", "inf" and "-inf", which JSON has no numbers for.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import io
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from pydantic import TypeAdapter, ValidationError

from retrograd.base.errors import DataError, UsageError
from retrograd.record.files import open_regular
from retrograd.record.strict_json import parse_json, write_json

MAX_LINE_BYTES = 2**20
PACKAGES = ("retrograd", "jax", "jaxlib", "numpy", "optax")

Metrics = dict[str, dict[str, float]]  # part of the data (training, validation, test) -> metric -> value


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now().astimezone()


@dataclass(frozen=True)
class Event:
    """Something that happened, and when (filled in where it is written)."""

    kind: ClassVar[str]
    time: datetime | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Started(Event):
    """Training begins: all that is needed to repeat it, beside the configuration.

    `number` is larger than that of every run that was in the same folder then; `flags` are settings of JAX from
    outside that change numbers.
    """

    kind = "started"
    name: str
    task: str
    seed: int
    data_digest: str | None = None
    device: str = ""
    platform: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    number: int = 0
    flags: dict[str, str] = field(default_factory=dict)
    readings: bool = False  # whether the health of the layers is recorded
    epochs: int = 0  # that are planned, and the steps that they take; 0: not known
    steps: int = 0
    process: int = 0  # that trains, and the machine that it runs on
    host: str = ""
    parent: str = ""  # folder of the run whose weights this one began with
    weights_digest: str | None = None  # of the tensors that another program wrote, where training begins with them

    @classmethod
    def here(
        cls, name: str, task: str, seed: int, *, data_digest: str | None = None, device: str = "",
        flags: Mapping[str, str] | None = None, readings: bool = False, epochs: int = 0, steps: int = 0,
        parent: str = "", weights_digest: str | None = None,
    ) -> Started:  # fmt: skip
        """Return the event for this machine and the versions that are installed on it."""
        return cls(name, task, seed, data_digest, device, platform.platform(), versions(), flags=dict(flags or {}),
                   readings=readings, epochs=epochs, steps=steps, process=os.getpid(), host=platform.node(),
                   parent=parent, weights_digest=weights_digest)  # fmt: skip


@dataclass(frozen=True)
class Resumed(Event):
    """Training goes on in another process after an interrupt, a crash or its end: from this step, in this epoch's next.

    What was recorded after that step was taken back; it is recorded again as it was.
    """

    kind = "resumed"
    step: int
    epoch: int

    @property
    def text(self) -> str:
        """The same in words."""
        return f"continues after step {self.step:,}, in epoch {self.epoch + 1}" if self.step else "begins again"


@dataclass(frozen=True)
class Phase(Event):
    """What the process does from now on: "compiling", "training" or "finishing" (measuring, writing the model).

    What comes before, loading the data, is over when there is a folder.
    """

    kind = "phase"
    name: str


@dataclass(frozen=True)
class Progress(Event):
    """How training goes in the middle of an epoch: steps so far, mean loss and pace of those since it was told last."""

    kind = "progress"
    step: int
    loss: float
    steps_per_second: float


@dataclass(frozen=True)
class Epoch(Event):
    """An epoch has ended. `seconds` count from the start; loss and gradient norm are means over its steps.

    `weights` is the digest of the parameters where they were measured: a replay must come to the same.
    """

    kind = "epoch"
    epoch: int
    step: int
    loss: float
    metrics: Metrics
    learning_rate: float | None
    seconds: float
    gradient_norm: float | None = None
    weights: str | None = None


@dataclass(frozen=True)
class Note(Event):
    """Something that the user should know, in one sentence."""

    kind = "note"
    text: str


@dataclass(frozen=True)
class Intervention(Event):
    """The guard acted: why, what it did, and the settings that make it permanent.

    From `step` on the learning rate was multiplied by `rate_factor`, and gradients were clipped to `clip_global_norm`.
    """

    kind = "intervention"
    step: int
    reason: str
    action: str
    permanent: str = ""
    rate_factor: float = 1.0
    clip_global_norm: float | None = None


@dataclass(frozen=True)
class Health(Event):
    """Readings of a step: quantity -> path of a node or parameter -> value."""

    kind = "health"
    step: int
    readings: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Stopped(Event):
    """Training has ended: why (a word, and a sentence with the numbers), after how much, with which weights (digest).

    `metrics` are those of the weights that were kept.
    """

    kind = "stopped"
    reason: str
    step: int
    epoch: int
    best_epoch: int | None
    seconds: float
    weights: str
    metrics: Metrics = field(default_factory=dict)
    sentence: str = ""

    @property
    def may_go_on(self) -> bool:
        """Whether the run was only interrupted."""
        return self.reason in INTERRUPTED


INTERRUPTED = ("interrupted", "terminated")  # reasons to stop from outside
KINDS: dict[str, type[Event]] = {
    kind.kind: kind for kind in (Started, Resumed, Phase, Progress, Epoch, Note, Intervention, Health, Stopped)
}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # used from its source folder
            found[package] = "not installed"
    return found


def write_event(event: Event) -> bytes:
    """Return an event's line."""
    values = {entry.name: getattr(event, entry.name) for entry in dataclasses.fields(event)}
    time = event.time.isoformat(timespec="milliseconds") if event.time else None
    line = write_json({"kind": event.kind, **values, "time": time}).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise UsageError(f"an event of {len(line):,} bytes, larger than {MAX_LINE_BYTES:,}")
    return line


def read_events(path: Path, size: int | None = None) -> Iterator[Event]:
    """Yield the events of a file in order; a last line without its end (a crash, or a line on its way) is left out.

    `size` is how many bytes are read, of whole lines. Kinds and fields that this version does not know are passed over.

    Raises:  UsageError when there is no such file; DataError with the number of a line that is no event
    """
    with open_regular(path) as stream:
        for number, line in enumerate(_lines(stream), start=1):
            if len(line) > MAX_LINE_BYTES:
                raise DataError(f"a line longer than {MAX_LINE_BYTES:,} bytes", where=f"{path}:{number}")
            if not line.endswith(b"\n") or (size is not None and stream.tell() > size):
                return
            try:
                event = parse_event(line)
            except ValueError as error:
                raise DataError(f"not an event: {error}", where=f"{path}:{number}") from None
            if event is not None:
                yield event


def beginning(path: Path) -> int:
    """Return how many bytes the events take that come before training: its start, and notes."""
    size = 0
    with open_regular(path) as stream, contextlib.suppress(ValueError):
        for line in _lines(stream):
            if not line.endswith(b"\n") or not isinstance(parse_event(line), (Started, Note)):
                break
            size += len(line)
    return size


def _lines(stream: io.BufferedReader) -> Iterator[bytes]:
    return iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b"")


def parse_event(line: bytes) -> Event | None:
    """Return the event of a line; None for a kind that this version does not know.

    Raises:  ValueError for what is no event
    """
    plain = parse_json(line.decode())
    if not isinstance(plain, dict) or not isinstance(plain.get("kind"), str):
        raise ValueError("expected an object with its kind")
    if plain["kind"] not in KINDS:
        return None
    try:
        return _adapter(plain["kind"]).validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(str(step) for step in first['loc'])}: {first['msg']}") from None


@functools.cache
def _adapter(kind: str) -> TypeAdapter[Event]:
    return TypeAdapter(KINDS[kind])
