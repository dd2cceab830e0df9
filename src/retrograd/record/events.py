"""Events: what happens in a run, one line of JSON per event, appended as it happens.

    {"kind": "epoch", "time": "2031-05-01T09:30:00.000+00:00", "epoch": 1, "step": 50, "loss": 0.31, ...}

NaN and infinities, which JSON lacks, are written as the strings "nan", "inf" and "-inf".
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
WHOLE = 10_000  # first epochs of a run, all recorded; of each doubling beyond them, half this number
PACKAGES = ("retrograd", "jax", "jaxlib", "numpy", "optax")

Metrics = dict[str, dict[str, float]]  # part of the data (training, validation, test) -> metric -> value


def now() -> datetime:
    """Return the local time with its time zone."""
    return datetime.now().astimezone()


@dataclass(frozen=True)
class Event:
    """Something that happened, and when (filled in when it is written)."""

    kind: ClassVar[str]
    time: datetime | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Started(Event):
    """Training starts: everything besides the configuration that is needed to repeat it.

    `number` is larger than that of every run then in the same folder; `flags` are JAX settings from outside that affect
    the numbers.
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
    epochs: int = 0  # planned; 0: unknown
    steps: int = 0  # planned; 0: unknown
    process: int = 0  # id of the training process
    host: str = ""  # machine that it runs on
    parent: str = ""  # folder of the run whose weights this run started from
    weights_digest: str | None = None  # digest of the tensors from another program that this run started from

    @classmethod
    def here(
        cls, name: str, task: str, seed: int, *, data_digest: str | None = None, device: str = "",
        flags: Mapping[str, str] | None = None, readings: bool = False, epochs: int = 0, steps: int = 0,
        parent: str = "", weights_digest: str | None = None,
    ) -> Started:  # fmt: skip
        """Return the event for this machine and the versions installed on it."""
        return cls(name, task, seed, data_digest, device, platform.platform(), versions(), flags=dict(flags or {}),
                   readings=readings, epochs=epochs, steps=steps, process=os.getpid(), host=platform.node(),
                   parent=parent, weights_digest=weights_digest)  # fmt: skip


@dataclass(frozen=True)
class Resumed(Event):
    """Training continues in another process after an interrupt, a crash or its end.

    `step` and `epoch` are the last ones completed. Events recorded after that step were removed and are recorded again.
    """

    kind = "resumed"
    step: int
    epoch: int

    @property
    def text(self) -> str:
        """The event in words."""
        return f"continues after step {self.step:,}, in epoch {self.epoch + 1}" if self.step else "starts again"


@dataclass(frozen=True)
class Phase(Event):
    """What the process does from now on: "compiling", "training" or "finishing" (evaluating, writing the model).

    Loading the data is no phase: it precedes the run folder.
    """

    kind = "phase"
    name: str


@dataclass(frozen=True)
class Progress(Event):
    """Progress within an epoch: steps so far, and mean loss and speed of the steps since the last such event."""

    kind = "progress"
    step: int
    loss: float
    steps_per_second: float


@dataclass(frozen=True)
class Epoch(Event):
    """An epoch has ended. `seconds` count from the start; loss and gradient norm are means over its steps.

    `weights` is the digest of the parameters at evaluations: a replay must reproduce it.
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
    """The guard intervened: why, what it did, and the settings that make it permanent.

    From `step` on, the learning rate is multiplied by `rate_factor` and gradients are clipped to `clip_global_norm`.
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
    """Layer health at a step: quantity -> path of a node or parameter -> value."""

    kind = "health"
    step: int
    readings: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Stopped(Event):
    """Training has ended: why (a word, and a sentence with numbers), when, and with which weights (their digest).

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
        """Whether the run was merely interrupted, and can be resumed."""
        return self.reason in INTERRUPTED


INTERRUPTED = ("interrupted", "terminated")  # external reasons for stopping
KINDS: dict[str, type[Event]] = {
    kind.kind: kind for kind in (Started, Resumed, Phase, Progress, Epoch, Note, Intervention, Health, Stopped)
}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return dict(_versions())


@functools.cache  # a search begins hundreds of runs
def _versions() -> Mapping[str, str]:
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            numbers[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # used from its source folder
            numbers[package] = "not installed"
    return numbers


def is_recorded(epoch: int) -> bool:
    """Return whether an epoch is recorded: fewer and fewer in a very long run, so that its log stays small."""
    return epoch % (1 << ((epoch - 1) // WHOLE).bit_length()) == 0


def write_event(event: Event) -> bytes:
    """Return an event as a line of JSON."""
    values = {entry.name: getattr(event, entry.name) for entry in dataclasses.fields(event)}
    time = event.time.isoformat(timespec="milliseconds") if event.time else None
    line = write_json({"kind": event.kind, **values, "time": time}).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise UsageError(f"event too large: {len(line):,} bytes, limit {MAX_LINE_BYTES:,}")
    return line


def read_events(path: Path, size: int | None = None) -> Iterator[Event]:
    """Yield the events of a file in order; an incomplete last line (a crash, or still being written) is ignored.

    Only whole lines within the first `size` bytes are read. Kinds and fields unknown to this version are skipped.

    Raises:  UsageError if there is no such file; DataError with the number of a line that is not an event
    """
    with open_regular(path) as stream:
        for number, line in enumerate(_lines(stream), start=1):
            if len(line) > MAX_LINE_BYTES:
                raise DataError(f"line longer than {MAX_LINE_BYTES:,} bytes", where=f"{path}:{number}")
            if not line.endswith(b"\n") or (size is not None and stream.tell() > size):
                return
            try:
                event = parse_event(line)
            except ValueError as error:
                raise DataError(f"not an event: {error}", where=f"{path}:{number}") from None
            if event is not None:
                yield event


def beginning(path: Path) -> int:
    """Return the size in bytes of the events that precede training: its start, and notes."""
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
    """Parse the event in a line; None for a kind unknown to this version.

    Raises:  ValueError if the line is not an event
    """
    plain = parse_json(line.decode())
    if not isinstance(plain, dict) or not isinstance(plain.get("kind"), str):
        raise ValueError("expected an object with a kind")
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
