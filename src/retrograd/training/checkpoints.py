"""The checkpoints of a run: written of its places, and read back together with the events before them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from retrograd.base.errors import ModelFileError, RetrogradWarning
from retrograd.record.checkpoint import Checkpoint, checkpoint_paths, read_checkpoint
from retrograd.record.events import Epoch, Event, Health, Intervention
from retrograd.record.log import Mark
from retrograd.record.sealed import NewerFormatError
from retrograd.record.writer import RunWriter
from retrograd.training.config.config import plain_config, portable
from retrograd.training.loop.guard import Memory
from retrograd.training.loop.saved import Saved
from retrograd.training.plane import PlaneSampler
from retrograd.training.prepare import Prepared
from retrograd.training.surroundings import surroundings


class Point(NamedTuple):
    """Where a run goes on: at a checkpoint with the events before it, or at its beginning."""

    size: int  # bytes of those events
    events: tuple[Event, ...] = ()
    saved: Saved | None = None
    path: Path | None = None
    config: Mapping[str, Any] = {}
    facts: Mapping[str, Any] = {}

    @property
    def step(self) -> int:
        """The steps that need not be taken again."""
        return self.saved.step if self.saved else 0

    @property
    def health(self) -> Health | None:
        """The last reading."""
        return next((event for event in reversed(self.events) if isinstance(event, Health)), None)


class Checkpoints:
    """Writes the places of a run into its folder."""

    def __init__(self, place: RunWriter, prepared: Prepared, sampler: PlaneSampler | None) -> None:
        self.place, self.prepared, self.sampler = place, prepared, sampler
        self.config = plain_config(portable(prepared.config))
        self.surroundings = surroundings()

    def __call__(self, saved: Saved) -> Callable[[], None]:
        """Return what writes a place; what the next step would change is in it already."""
        facts = {
            "events": self.place.mark()._asdict(),
            "guard": saved.memory._asdict(),
            "seconds": saved.seconds,
            "epoch": len(saved.history),
            "steps": self.prepared.steps,
            "surroundings": self.surroundings,
        }
        arrays = {**saved.arrays, **(self.sampler.arrays() if self.sampler else {})}
        checkpoint = Checkpoint(saved.step, arrays, self.config, facts)
        return lambda: self.place.write_checkpoint(checkpoint, self.prepared.config.training.checkpoint.keep)


def newest(place: RunWriter) -> Point:
    """Return the newest checkpoint that is whole, and the events before it; without one the beginning of the run.

    Raises:  NewerFormatError, ResourceError where one may be whole, but cannot be read here or now
    """
    for path in checkpoint_paths(place.path):
        try:
            return _point(place, path)
        except NewerFormatError:
            raise
        except ModelFileError as error:
            message = f"a checkpoint is passed over: {error}"
            warnings.warn(message, RetrogradWarning, stacklevel=2)
    return Point(place.beginning())


def _point(place: RunWriter, path: Path) -> Point:
    checkpoint = read_checkpoint(path)
    facts = checkpoint.facts
    try:
        mark, memory, seconds = Mark(**facts["events"]), Memory(**facts["guard"]), float(facts["seconds"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"damaged: its facts are not complete: {error}", where=str(path)) from None
    if not place.holds(mark):
        raise ModelFileError("the events before it are not those of the run any more", where=str(path))
    events = tuple(place.events(mark.size))
    history = tuple(event for event in events if isinstance(event, Epoch))
    acts = tuple(event for event in events if isinstance(event, Intervention))
    memory = memory._replace(first_loss=float(memory.first_loss))  # JSON has no NaN
    saved = Saved(checkpoint.arrays, memory, seconds, history, acts)
    return Point(mark.size, events, saved, path, checkpoint.config, facts)
