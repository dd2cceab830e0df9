"""Writing the checkpoints of a run, and reading them back with the events that precede them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from retrograd.base.errors import ModelFileError, ResourceError, RetrogradError, RetrogradWarning
from retrograd.distributed.team import Team
from retrograd.record.checkpoint import PARTS, Checkpoint, checkpoint_paths, read_checkpoint, write_slices
from retrograd.record.events import Epoch, Event, Health, Intervention, parse_event, write_event
from retrograd.record.logs.log import Mark
from retrograd.record.run import RunFolder
from retrograd.record.sealed import NewerFormatError
from retrograd.record.writer import RunWriter
from retrograd.training.config.config import plain_config, portable
from retrograd.training.loop.course import reads_in_blocks
from retrograd.training.loop.guard import Memory
from retrograd.training.loop.saved import Saved
from retrograd.training.plane import PlaneSampler
from retrograd.training.prepare import Prepared
from retrograd.training.surroundings import surroundings

SLICES, MISSED = "slices of a checkpoint", ""  # the key under which processes exchange checksums; that of no slices


@dataclass(frozen=True)
class Facts:
    """What a checkpoint records besides its arrays and its configuration; unknown fields are ignored."""

    events: Mark
    guard: Memory
    seconds: float
    surroundings: dict[str, str]
    in_blocks: bool = False  # whether rows are shuffled in blocks, which depends on the machine's memory
    best: str = ""  # the epoch of the best weights as a line of the log, which may not have recorded it


class Point(NamedTuple):
    """Where a run resumes: at a checkpoint, with the events before it, or at its beginning."""

    size: int  # bytes of those events
    events: tuple[Event, ...] = ()
    saved: Saved | None = None
    path: Path | None = None
    config: Mapping[str, Any] = {}
    facts: Facts | None = None

    @property
    def step(self) -> int:
        """The number of steps already done."""
        return self.saved.step if self.saved else 0

    @property
    def health(self) -> Health | None:
        """The last health reading."""
        return next((event for event in reversed(self.events) if isinstance(event, Health)), None)


class Checkpoints:
    """Writes the checkpoints of a run into its folder."""

    def __init__(self, place: RunWriter, prepared: Prepared, sampler: PlaneSampler | None) -> None:
        self.place, self.prepared, self.sampler = place, prepared, sampler
        self.config = plain_config(portable(prepared.config))
        self.surroundings, self.in_blocks = surroundings(prepared.team), reads_in_blocks(prepared.dataset.train)

    def __call__(self, saved: Saved) -> Callable[[], None]:
        """Return a function that writes the checkpoint; whatever the next step would change has been captured."""
        facts = {
            "events": self.place.mark()._asdict(),
            "guard": saved.memory._asdict(),
            "seconds": saved.seconds,
            "surroundings": self.surroundings,
            "in_blocks": self.in_blocks,
            "best": write_event(saved.best_epoch).decode() if saved.best_epoch else "",
        }
        arrays = {**saved.arrays, **(self.sampler.arrays() if self.sampler else {})}
        checkpoint = Checkpoint(saved.step, arrays, self.config, facts)

        def write() -> None:
            parts = shared(self.prepared.team, self.place.path, saved) if self.prepared.cuts else None
            whole = checkpoint if parts is None else replace(checkpoint, facts={**facts, PARTS: parts})
            self.place.write_checkpoint(whole, self.prepared.config.training.checkpoint.keep)

        return write


def shared(team: Team, run: Path, saved: Saved) -> list[str]:
    """Write the slices of this process; return the checksums of every process once all are written.

    Raises:  ResourceError if one of the processes has no disk space or memory left for them
    """
    try:
        checksum = write_slices(run, saved.step, team.rank, saved.slices)
    except (RetrogradError, MemoryError):
        missed(team)
        raise
    checksums = team.every(SLICES, checksum)
    if MISSED in checksums:
        rank = checksums.index(MISSED)
        raise ResourceError(f"rank {rank} could not write its slices", where=str(run))
    return checksums


def missed(team: Team) -> None:
    """Report to the other processes, which wait for the slices of this one, that there are none."""
    team.every(SLICES, MISSED)


def newest(place: RunWriter) -> Point:
    """Return the newest intact checkpoint and the events before it; without one, the beginning of the run.

    Raises:  NewerFormatError, ResourceError if one may be intact but cannot be read here or now
    """
    for path in checkpoint_paths(place.path):
        try:
            return _point(place, path)
        except NewerFormatError:
            raise
        except ModelFileError as error:
            message = f"skipping a checkpoint: {error}"
            warnings.warn(message, RetrogradWarning, stacklevel=2)
    return Point(place.beginning())


def point_at(run: RunFolder, path: str, size: int) -> Point:
    """Return the checkpoint chosen by the process that writes the run; the beginning, if `path` is empty."""
    return _point(run, Path(path)) if path else Point(size)


def _point(place: RunFolder, path: Path) -> Point:
    checkpoint = read_checkpoint(path)
    try:
        facts: Facts = _facts().validate_python(checkpoint.facts)  # strings become numbers that JSON lacks (inf, nan)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = f"damaged: facts.{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise ModelFileError(message, where=str(path)) from None
    if isinstance(place, RunWriter) and not place.holds(facts.events):
        raise ModelFileError("the run's events no longer match those before the checkpoint", where=str(path))
    events = tuple(place.events(facts.events.size))
    history = tuple(event for event in events if isinstance(event, Epoch))
    interventions = tuple(event for event in events if isinstance(event, Intervention))
    try:
        best = parse_event(facts.best.encode()) if facts.best else None
    except ValueError as error:
        raise ModelFileError(f"damaged: facts.best: {error}", where=str(path)) from None
    best_epoch = best if isinstance(best, Epoch) else None
    saved = Saved(checkpoint.arrays, facts.guard, facts.seconds, history, interventions, best_epoch=best_epoch)
    return Point(facts.events.size, events, saved, path, checkpoint.config, facts)


@functools.cache
def _facts() -> TypeAdapter[Facts]:
    return TypeAdapter(Facts)
