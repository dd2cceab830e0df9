"""The data set: batch columns for training, validation and test, with notes about what was inferred."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from retrograd.base.errors import DataError, RetrogradWarning
from retrograd.data.arrays import Arrays, as_arrays, as_frame, beside
from retrograd.data.audio.plan import plan_audio
from retrograd.data.audio.reading import sounds_of_arrays
from retrograd.data.audio.rows import Sounds
from retrograd.data.builtin.generated import Rows
from retrograd.data.cache.entry import NoCacheError
from retrograd.data.cache.stored import stored_part
from retrograd.data.cells.notation import Notation
from retrograd.data.images.plan import plan_images
from retrograd.data.images.reading import images_of_arrays
from retrograd.data.images.rows import Images
from retrograd.data.preprocessing import Inputs, Preprocessing, Target
from retrograd.data.read.folders import LABEL
from retrograd.data.report import Report
from retrograd.data.row_places import Seen, seen_rows
from retrograd.data.settings import DataSettings, Task
from retrograd.data.source import NoPlainTableError, Source, arrays_source, frame_source, read_source
from retrograd.data.split.split import FEW_ROWS, Split, choose_method, split_rows
from retrograd.data.streaming import kept, streamed_digest
from retrograd.data.table import Table, TextForm, from_any_frame
from retrograd.data.tables.goal import Plan
from retrograd.data.tables.inputs import TableInputs
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.plain import plain_tables
from retrograd.data.tables.plan import plan_arrays, plan_table
from retrograd.data.tables.target import Quantities
from retrograd.data.tables.typed import ScannedTypedTable
from retrograd.data.texts.corpus import Corpus
from retrograd.data.texts.inputs import listed_texts
from retrograd.data.texts.plan import plan_corpus, plan_texts
from retrograd.data.texts.reading import TEXT
from retrograd.data.texts.settings import TextSettings
from retrograd.data.windows.guess import dated_notes
from retrograd.data.windows.plan import plan_windows
from retrograd.present.wording import some_of

Batch = dict[str, Any]  # NumPy arrays, or image columns that are decoded when rows are taken


@dataclass(frozen=True)
class Dataset:
    """Batch columns by part: `x`, `y`, `sample_weight`, embedded columns and other arrays; the first axis is the rows.

    `notes` are sentences to show; `digest` is a SHA-256 that changes with the data. `seen` holds the original rows of
    the part furthest from training.
    """

    name: str
    task: Task
    train: Batch
    valid: Batch | None
    test: Batch | None
    preprocessing: Preprocessing
    notes: tuple[str, ...]
    digest: str
    form: TextForm | None = None  # how the text file was read
    seen: Mapping[str, Seen] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[bool | int | str, ...] | None:
        """The class labels, in the order of their numbers; None for other tasks."""
        return self.preprocessing.classes

    def class_name(self, number: int) -> str:
        """Return the label of a class, or its number if it has none."""
        labels = self.classes or ()
        return str(labels[number]) if number < len(labels) else str(number)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features of `x`; empty if x is not flat."""
        return self.preprocessing.features

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each existing part."""
        parts = {"train": self.train, "valid": self.valid, "test": self.test}
        return {name: len(next(iter(batch.values()))) for name, batch in parts.items() if batch is not None}

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes that a configuration may refer to: `features`, `classes` (1 for two classes) or `targets`, and under
        the name of each embedded column the number of its identifiers (0 included).
        """
        inputs, target = self.preprocessing.inputs, self.preprocessing.target
        sizes = dict(inputs.embedded)
        if "x" in self.train and self.train["x"].ndim > 1:
            sizes["features"] = self.train["x"].shape[-1]
        if target is not None:
            sizes["targets" if isinstance(target, Quantities) else "classes"] = target.units
        if isinstance(target, MultiLabels):
            sizes["targets"] = target.units
        return sizes


def load(settings: DataSettings, base_dir: str | Path | None = None) -> Dataset:
    """Read, split and preprocess the data described by the settings; relative paths start at `base_dir`.

    Raises:  ConfigError, DataError, LabelError, ResourceError, with the place and the reason
    Warns:   RetrogradWarning for a table that is read into memory because there is no cache folder for its columns
    """
    base_dir = Path(base_dir or ".")
    digest = streamed_digest(settings, base_dir)
    if digest is None:
        return build(read_source(settings, base_dir))
    try:
        return Dataset(*kept(settings, base_dir, digest, build))
    except (NoCacheError, NoPlainTableError) as error:
        if settings.stream == "always":
            raise
        if isinstance(error, NoCacheError):
            message = "the table is read into memory, and may not fit: " + error.sentence
            warnings.warn(message, RetrogradWarning, stacklevel=2)
    return build(read_source(settings, base_dir))


def from_arrays(
    x: Any, y: Any = None, valid: Any = None, test: Any = None, settings: DataSettings | None = None
) -> Dataset:
    """Return a data set of NumPy or JAX arrays; `valid` and `test` are pairs (x, y). See `as_arrays` for x.

    With `text` in the settings, x is a list of texts; with `images`, pixels (see `images_of_arrays`); with `audio`,
    samples (see `sounds_of_arrays`).
    """
    settings = settings or DataSettings()
    pairs = {"train": (x, y)} | {name: pair for name, pair in (("valid", valid), ("test", test)) if pair is not None}
    if settings.text is not None:
        tables = {name: text_table(*pair) for name, pair in pairs.items()}
        return build(frame_source(tables.pop("train"), tables, settings))
    parts = {name: _arrays(*pair, settings=settings) for name, pair in pairs.items()}
    return build(arrays_source(parts.pop("train"), parts, settings))


def text_table(x: Any, y: Any = None) -> Table:
    """Return texts, and their labels if given, as a table with the columns text and label."""
    columns = {TEXT: listed_texts(x)} | ({} if y is None else {LABEL: list(y)})
    return Table(pl.DataFrame(columns), "texts")


def _arrays(x: Any, y: Any = None, *, settings: DataSettings) -> Arrays | Images | Sounds:
    if settings.audio is not None:
        sounds = dict(x) if isinstance(x, Mapping) else {"x": x}
        return sounds_of_arrays(sounds | ({} if y is None else {"y": y}), settings.audio.sample_rate, "arrays")
    if settings.images is None:
        return as_arrays(x, y, keep_integers=settings.keep_integers)
    arrays = {name: np.asarray(array) for name, array in (x if isinstance(x, Mapping) else {"x": x}).items()}
    return images_of_arrays(arrays | ({} if y is None else {"y": np.asarray(y)}), "y", "arrays")


def from_frame(
    frame: Any,
    target: Any = None,
    valid: Any = None,
    test: Any = None,
    settings: DataSettings | None = None,
) -> Dataset:
    """Return a data set from a polars or pandas data frame, or a mapping from names to columns.

    `target` is the name of the target column (or several names), or its values: a list, an array, a series or a frame.
    With values, `valid` and `test` are pairs (frame, target).
    """
    settings = settings or DataSettings()
    others = {name: part for name, part in (("valid", valid), ("test", test)) if part is not None}
    if is_name(target):
        settings = settings if target is None else replace(settings, target=target)
        parts = {name: from_any_frame(part) for name, part in others.items()}
        return build(frame_source(from_any_frame(frame), parts, settings))
    table = joined(frame, target)
    names = table.names[from_any_frame(frame).frame.width :]
    parts = {name: joined(part[0], part[1], names) for name, part in others.items()}
    return build(frame_source(table, parts, replace(settings, target=names)))


def is_name(target: Any) -> bool:
    """Return whether a target is a name, several names or None, rather than values."""
    return (
        target is None
        or isinstance(target, str)
        or (isinstance(target, tuple) and all(isinstance(n, str) for n in target))
    )


def joined(frame: Any, y: Any, names: Sequence[str] = ()) -> Table:
    """Return a data frame and the values of its target as one table; `names` are the target's columns, if known."""
    table = from_any_frame(frame)
    added = as_frame(y, table.where)
    if names:
        if len(names) != added.width:
            raise DataError(
                f"y: expected {len(names)} columns ({some_of(names)}), got {added.width}", where=table.where
            )
        added = added.rename(dict(zip(added.columns, names, strict=True)))
    return replace(table, frame=beside(table.frame, added, table.where))


def build(source: Source, folder: Path | None = None) -> Dataset:
    """Plan, split, fit on the training rows, and transform every part; rows in files are written to `folder`."""
    try:
        return _build(source, folder)
    except DataError as error:
        if error.problems[0].where:
            raise
        raise type(error)([problem._replace(where=source.rows.where) for problem in error.problems]) from None


def _build(source: Source, folder: Path | None) -> Dataset:
    source, notations, number_notes = _with_plain_numbers(source)
    plan = plan_of(source)
    rows = plan.rows
    split, split_note = _split(plan, source)
    indices = {name: part for name, part in split._asdict().items() if len(part)}
    parts = {name: rows.take(plan.with_history(rows, part)) for name, part in indices.items()}
    parts |= {name: plan.clean(part.numbered()) for name, part in source.parts.items()}
    inputs, target = plan.fit(parts["train"])
    weight = source.settings.weight if isinstance(inputs, TableInputs) else None
    preprocessing = Preprocessing(inputs, target, weight, notations)
    report = Report()
    batches: dict[str, Batch] = {}
    for name, part in parts.items():
        if folder is not None and isinstance(part, ScannedTypedTable):
            batches[name] = stored_part(folder, name, part, preprocessing, report)
        else:
            batches[name] = preprocessing.transform(part, with_target=True, report=report)
    return Dataset(
        name=source.name,
        task=plan.goal.task,
        train=batches["train"],
        valid=batches.get("valid"),
        test=batches.get("test"),
        preprocessing=preprocessing,
        notes=(*source.notes, *plan.notes, *number_notes, split_note, *report.sentences()),
        digest=source.digest,
        form=source.rows.form if isinstance(source.rows, Table) else None,
        seen=_seen(parts, batches, preprocessing),
    )


def _seen(parts: Mapping[str, Rows], batches: Mapping[str, Batch], preprocessing: Preprocessing) -> dict[str, Seen]:
    last_part = next(name for name in ("test", "valid", "train") if name in parts)
    rows = seen_rows(parts[last_part], preprocessing, len(next(iter(batches[last_part].values()))))
    return {} if rows is None else {last_part: rows}


def _with_plain_numbers(source: Source) -> tuple[Source, dict[str, Notation], tuple[str, ...]]:
    """Return the source with plain numbers in its tables, the notation of each column, and notes about it."""
    tables = {name: rows for name, rows in {"train": source.rows, **source.parts}.items() if isinstance(rows, Table)}
    if "train" not in tables:
        return source, {}, ()
    plain = plain_tables(tables, source.settings)
    parts = {name: plain.parts.get(name, rows) for name, rows in source.parts.items()}
    return replace(source, rows=plain.parts["train"], parts=parts), plain.notations, plain.notes


def plan_of(source: Source) -> Plan[Any, tuple[Inputs, Target | None]]:
    """Return the plan for rows of this kind."""
    rows, settings = source.rows.numbered(), source.settings
    if isinstance(rows, Images):
        return plan_images(rows, settings)
    if isinstance(rows, Sounds):
        return plan_audio(rows, settings)
    if isinstance(rows, Corpus):
        return plan_corpus(rows, settings, settings.text or TextSettings(), source.tokenizer)
    if isinstance(rows, Arrays):
        return plan_arrays(rows, settings)
    if settings.text is not None and not settings.text_beside_others:
        return plan_texts(rows, settings, settings.text, source.tokenizer)
    if settings.windows is not None:
        return plan_windows(rows, settings, settings.windows)
    plan = plan_table(rows, settings)
    return replace(plan, notes=(*plan.notes, *dated_notes(plan)))


def _split(plan: Plan[Any, Any], source: Source) -> tuple[Split, str]:
    """Return the split of the rows, and a sentence about it; a part with its own file is not split off."""
    rows = plan.rows
    settings = source.settings.split
    settings = replace(
        settings,
        valid=0.0 if "valid" in source.parts else settings.valid,
        test=0.0 if "test" in source.parts else settings.test,
    )
    labels = plan.row_labels(rows)
    if settings.method == "auto" and plan.is_ordered:
        settings = replace(settings, method="time") if len(rows) >= FEW_ROWS else settings
    method = choose_method(settings, len(rows), labels is not None, "valid" in source.parts)
    split = split_rows(method, settings, len(rows), labels, plan.split_keys(rows))
    if not len(split.valid) and "valid" not in source.parts:
        return split, f"training uses all {len(split.train):,} rows of {source.name}: no validation part"
    counts = ", ".join(f"{len(part):,} {name}" for name, part in split._asdict().items() if len(part))
    files = "".join(f", {len(part):,} {name} (own file)" for name, part in source.parts.items())
    return split, f"split ({method}, seed {settings.seed}): {counts}{files}"
