"""The contents of a run folder, gathered for its report."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from retrograd.base.errors import RetrogradError
from retrograd.record.attention import Attention, read_attention
from retrograd.record.events import Epoch, Event, Health, Intervention, Metrics, Note, Started, Stopped
from retrograd.record.examination import REPAIR, Examined, Repaired, read_examined, read_repaired
from retrograd.record.files import open_regular
from retrograd.record.header import Header, read_header
from retrograd.record.judged import Judged, read_judged
from retrograd.record.plane import Plane, read_plane
from retrograd.record.run import RunFolder
from retrograd.record.strict_json import parse_json
from retrograd.report.chance import Chance, chance_of

WARNING = "warning: "  # prefix of a note that is a warning


WORDS = {"test": "test", "valid": "validation", "train": "training"}  # of the parts of the data


@dataclass(frozen=True)
class Story:
    """The current state of a run: its events, its configuration, the shapes of its tensors, and its results."""

    folder: str
    config: str
    events: tuple[Event, ...]
    header: Header | None  # of the model; None if it cannot be read
    problem: str = ""  # why the model or a result could not be read
    examined: Examined | None = None
    repaired: Repaired | None = None
    judged: Judged | None = None
    plane: Plane | None = None
    attention: Attention | None = None

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the events of a kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @functools.cached_property
    def started(self) -> Started | None:
        """The start event of the run."""
        return next(iter(self.of(Started)), None)

    @functools.cached_property
    def stopped(self) -> Stopped | None:
        """The event that ended the run, if it has ended."""
        return next(reversed(self.of(Stopped)), None)

    @functools.cached_property
    def epochs(self) -> list[Epoch]:
        """The epochs; of a repeated epoch, only the last event."""
        return list({event.epoch: event for event in self.of(Epoch)}.values())

    @functools.cached_property
    def health(self) -> list[Health]:
        """The readings of layer health."""
        return self.of(Health)

    @functools.cached_property
    def interventions(self) -> list[Intervention]:
        """The guard's interventions."""
        return self.of(Intervention)

    @functools.cached_property
    def warnings(self) -> list[str]:
        """The warnings among the notes."""
        return [note.text.removeprefix(WARNING) for note in self.of(Note) if note.text.startswith(WARNING)]

    @functools.cached_property
    def notes(self) -> list[str]:
        """The other notes."""
        return [note.text for note in self.of(Note) if not note.text.startswith(WARNING)]

    @functools.cached_property
    def scores(self) -> Metrics:
        """The metrics of the best weights; before the end, the latest metrics."""
        if self.stopped and self.stopped.metrics:
            return self.stopped.metrics
        return next((epoch.metrics for epoch in reversed(self.epochs) if epoch.metrics), {})

    @functools.cached_property
    def facts(self) -> Mapping[str, Any]:
        """The facts about training in the model file."""
        return _mapping(self.header, "facts")

    @functools.cached_property
    def model_config(self) -> Mapping[str, Any]:
        """The configuration in the model file, equal to the one in the folder."""
        return _mapping(self.header, "config")

    @functools.cached_property
    def chance(self) -> Chance | None:
        """The score compared with the best constant prediction on the same rows; None if unknown."""
        return None if self.judged is None else chance_of(self.judged, self.scores)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of every parameter by its path."""
        entries = self.header.entries() if self.header else []
        return {e.name.removeprefix("params/"): e.shape for e in entries if e.name.startswith("params/")}

    def epoch_at(self, step: int) -> float:
        """Return the position of a step on the axis of epochs: 2.5 is halfway from the end of epoch 2 to that of 3."""
        ends = [(0, 0), *((epoch.step, epoch.epoch) for epoch in self.epochs)]
        after = bisect.bisect_left([end for end, _ in ends], step)
        if after >= len(ends):
            return float(ends[-1][1])
        (begin, first), (end, last) = ends[max(after - 1, 0)], ends[after]
        return last if end == begin else first + (last - first) * (step - begin) / (end - begin)


def read_story(run: RunFolder) -> Story:
    """Read the contents of a run folder.

    Raises:  UsageError or DataError if configuration or events cannot be read; other files may be missing
    """
    header, problems = None, []
    try:
        with open_regular(run.model_path) as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            header = read_header(stream, size, run.model_path.name)
            header.entries()  # shapes are trusted only after this check
    except RetrogradError as error:
        header = None
        problems.append(f"{run.model_path.name}: {error.problems[0].message}")
    results: dict[str, Any] = {}
    readers: dict[str, Callable[[], Any]] = {
        "examined": lambda: read_examined(run.path),
        "repaired": lambda: read_repaired(run.path / REPAIR),
        "judged": lambda: read_judged(run.path),
        "plane": lambda: read_plane(run.path),
        "attention": lambda: read_attention(run.path),
    }
    for name, read in readers.items():
        try:
            results[name] = read()
        except RetrogradError as error:
            problems.append(str(error))
    events = tuple(run.events())
    return Story(run.path.resolve().name, run.config_text(), events, header, "; ".join(problems), **results)


def _mapping(header: Header | None, key: str) -> Mapping[str, Any]:
    try:
        values = parse_json(header.metadata.get(key, "{}")) if header else {}
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def natural(path: str) -> list[tuple[int, str]]:
    """Return a key for natural sorting: block_2 before block_10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"([0-9]{1,18})", path)]


def parts(metrics: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the measured parts of the data, the one furthest from training first."""
    yield from (part for part in ("test", "valid", "train") if part in metrics)
    yield from (part for part in metrics if part not in ("test", "valid", "train"))
