"""The `data:` section of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from retrograd.base.annotations import Expect, Words
from retrograd.base.errors import Problem, did_you_mean
from retrograd.base.quantities import (
    AnySeed,
    ByteCount,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from retrograd.base.schema import Settings
from retrograd.base.sentence import data_setting
from retrograd.data.audio.settings import AudioSettings
from retrograd.data.builtin.settings import InlineRows, row_problems
from retrograd.data.images.settings import ImageSettings
from retrograd.data.split.settings import SplitSettings
from retrograd.data.texts.settings import TextSettings
from retrograd.data.windows.settings import WindowSettings

NOISY = ("circles", "moons", "spirals", "sine", "shapes", "waves", "demand", "tones")
GENERATED = (*NOISY, "number_words", "reviews", "tales")
BUILTINS = ("xor", "and", *GENERATED, "digits", "iris", "wine", "breast_cancer", "diabetes")
USUAL_NAMES = ("target", "label", "class", "y")
KINDS = ("number", "category", "boolean", "date", "text", "identifier")
NUMBER_EXAMPLE = re.compile(r"^\d[\d.,' ]*[.,' ][\d.,' ]*\d$")
MISSING_WORDS = (
    "", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "-NaN", "NULL", "Null", "null", "None", "none",
)  # fmt: skip

Task = Literal[
    "binary",
    "multiclass",
    "multilabel",
    "regression",
    "unsupervised",
    "segmentation",
    "detection",
    "next_token",
    "masked_token",
    "answer",
    "transcription",
]
Scale = Annotated[
    Literal["none", "standard", "robust", "log", "minmax"] | dict[Literal["divide"], PositiveFloat],
    Expect("none, standard, robust, log, minmax or {divide: n}"),
]
Kind = Annotated[
    str,
    Expect(f"one of {', '.join(KINDS)}, a date's format such as %d/%m/%Y, or a number such as 1.234,56"),
]
Character = Annotated[str, Field(min_length=1, max_length=1), Expect("a single character")]
BuiltinName = Annotated[str | None, Field(json_schema_extra={"enum": [*BUILTINS, None]}), Expect("a built-in's name")]
SPLIT = SplitSettings()


@dataclass(frozen=True)
class DataSettings(Settings):
    """The source of the data, and how they become numbers.

    Either `builtin` or `path`: CSV, TSV, ARFF, JSON, JSONL, Parquet, Feather, XLSX, SQLite, NPY, NPZ (most also as .gz,
    .bz2, .xz, .zst, .zip); a folder or pattern (`parts/*.csv`) of such files, or a folder of images, sounds or texts.
    A setting of `None` depends on the kind of data: tables are standardised, images divided by 255, arrays and most
    built-ins left unchanged.
    """

    builtin: Annotated[BuiltinName, Words("a bundled or generated data set")] = None
    path: Annotated[
        str | None,
        Words("the data file, a pattern such as `parts/*.csv`, or a folder of tables, images, sounds or texts"),
    ] = None
    rows: Annotated[
        InlineRows | None, Words("the rows themselves, each a list of cells, the target last", why="used as they are")
    ] = None
    columns: Annotated[
        tuple[str, ...], Words("the names of the columns of `rows`", why="x1, x2, ... and y for the last one")
    ] = ()
    valid_path: Annotated[str | None, Words("a file with the validation rows, instead of splitting them off")] = None
    test_path: Annotated[str | None, Words("a file with the test rows, instead of splitting them off")] = None
    # what the columns are
    target: Annotated[
        str | tuple[str, ...] | None,
        Words("the column to predict, or several", why="a column named target, label, class or y, else the last"),
    ] = None
    task: Annotated[
        Literal["auto", "binary", "multiclass", "multilabel", "regression", "unsupervised"],
        Words(
            "the kind of prediction: a class, several labels at once, or a quantity",
            why="inferred: text and a few whole numbers are classes, several columns of 0 and 1 are labels",
        ),
    ] = "auto"
    features: Annotated[tuple[str, ...] | None, Words("the columns to learn from; by default all but the target")] = (
        None
    )
    exclude: Annotated[tuple[str, ...], Words("columns to ignore")] = ()
    weight: Annotated[str | None, Words("the column with the weight of each row")] = None
    kinds: Annotated[dict[str, Kind], Words("the kind of a column's values, if the inferred kind is wrong")] = field(
        default_factory=dict
    )
    # how they become numbers
    scale: Annotated[
        Scale | None,
        Words(
            "the scaling of numeric columns, fitted on the training rows",
            why="tables are standardised, because columns differ in unit; arrays and most built-ins are not scaled",
        ),
    ] = None
    clip: Annotated[
        PositiveFloat | None,
        Words(
            "the bound at which scaled numbers are clipped",
            more="clips fewer numbers",
            less="reduces the effect of outliers, but makes large numbers harder to distinguish",
            why="no clipping",
        ),
    ] = None
    scale_target: Annotated[
        Literal["none", "standard", "robust", "log", "minmax"] | None,
        Words(
            "the scaling of the target; predictions are scaled back",
            why="quantities in tables are standardised, so that one learning rate suits any unit",
        ),
    ] = None
    categories: Annotated[
        Literal["one_hot", "embed"],
        Words(
            "the encoding of categories: one column each, or identifiers for an embedding",
            why="one column each needs no further layer",
        ),
    ] = "one_hot"
    max_categories: Annotated[
        PositiveInt,
        Words(
            "maximum number of categories per column; rarer ones count as unseen",
            more="distinguishes more categories, but makes the input wider",
            less="merges rare categories",
            why="more are rarely useful",
        ),
    ] = 64
    missing: Annotated[
        Literal["mean", "median", "drop", "interpolate", "error"],
        Words(
            "the value for a missing number; interpolate: a line between its neighbours in time, for windows",
            why="the mean leaves the column's mean unchanged",
        ),
    ] = "mean"
    missing_values: Annotated[
        tuple[str, ...], Words("words for a missing value", why="what spreadsheets and data frames write")
    ] = MISSING_WORDS
    invalid: Annotated[
        Literal["error", "missing"],
        Words("the treatment of a cell that does not fit its column's kind", why="typing errors should be noticed"),
    ] = "error"
    keep_integers: Annotated[
        bool,
        Words(
            "whether whole numbers in arrays stay identifiers for an embedding",
            why="whole numbers in arrays are usually quantities",
        ),
    ] = False
    split: Annotated[SplitSettings, Words("the split of the rows into training, validation and test part")] = SPLIT
    # data other than plain tables
    images: Annotated[ImageSettings | None, Words("the location and decoding of images")] = None
    audio: Annotated[AudioSettings | None, Words("the decoding of sounds, and the bands of their features")] = None
    text: Annotated[TextSettings | None, Words("the tokens of texts, and the task to learn from them")] = None
    windows: Annotated[WindowSettings | None, Words("the windows of rows for a forecast")] = None
    # how files are read
    header: Annotated[
        bool | None, Words("whether the first line names the columns", why="decided by the first lines together")
    ] = None
    skip_lines: Annotated[
        NonNegativeInt | None,
        Words(
            "number of lines above the header to skip",
            more="skips more of the beginning of the file",
            less="reads more of it",
            why="titles are recognised: they fill at most half of the cells in a row",
        ),
    ] = None
    skip_footer: Annotated[
        NonNegativeInt | None,
        Words(
            "number of rows to skip at the end of a text file",
            more="skips more",
            less="keeps more",
            why="totals and remarks in the last lines are recognised",
        ),
    ] = None
    comment: Annotated[
        str | None, Words('the mark at the start of comment lines; "" for none', why="decided by the first lines")
    ] = None
    separator: Annotated[
        Character | None,
        Words(
            "the character between two cells; a space means any run of spaces and tabs",
            why="the one that divides the lines most evenly",
        ),
    ] = None
    decimal: Annotated[
        Literal[".", ","] | None, Words("the decimal mark", why="decided by each column's cells, then by the table's")
    ] = None
    thousands: Annotated[
        Literal[",", ".", " ", "'"] | None, Words("the thousands separator", why="decided by each column's cells")
    ] = None
    encoding: Annotated[str | None, Words("the file's character encoding", why="recognised by its first bytes")] = None
    sheet: Annotated[str | None, Words("the sheet of a spreadsheet", why="the first one with cells")] = None
    query: Annotated[
        str | None, Words("an SQL query that selects the rows of an SQLite database", why="all rows of its only table")
    ] = None
    max_bytes: Annotated[
        ByteCount,
        Words(
            "the size limit of a data file after decompression, in bytes",
            more="reads larger files",
            less="rejects more files",
            why="no limit in practice: tables that do not fit in memory stay in files",
        ),
    ] = 1024**4  # of a file, decompressed
    stream: Annotated[
        Literal["auto", "always", "never"],
        Words(
            "whether training reads a table's rows from files instead of memory",
            why="from files if the table would need more than half of the free memory",
        ),
    ] = "auto"
    cache: Annotated[
        str | None,
        Words("the folder for the transformed columns of such tables", why="inside the user's cache folder"),
    ] = None
    # for generated built-ins
    samples: Annotated[
        PositiveInt | None,
        Words("number of generated points", more="a finer picture, but slower epochs", less="a coarser picture"),
    ] = None
    noise: Annotated[
        NonNegativeFloat | None,
        Words(
            "standard deviation of the noise on generated points",
            more="makes classes harder to distinguish",
            less="makes classes easier to distinguish",
        ),
    ] = None
    seed: Annotated[AnySeed, Words("seed for generated points", why="any number will do")] = 0

    @property
    def targets(self) -> tuple[str, ...]:
        """The target columns named in the settings."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def text_beside_others(self) -> bool:
        """Whether `text:` applies to the text columns of a table, rather than making a text the only input."""
        text = self.text
        return (
            text is not None and "text" in self.kinds.values() and not (text.column or text.answer or text.is_running)
        )

    def rules(self) -> Iterator[Problem]:
        """Yield the problems that concern several fields."""
        if self.builtin is not None:
            yield from self._builtin_rules(self.builtin)
        for name, kind in self.kinds.items():
            if kind not in KINDS and "%" not in kind and not NUMBER_EXAMPLE.match(kind):
                yield Problem(f"kinds.{name}", f"unknown kind '{kind}'", did_you_mean(kind, KINDS))
        yield from row_problems(self.rows, self.columns, self.builtin or self.path)
        if self.path is None:
            unused = [name for name in ("valid_path", "test_path") if getattr(self, name) is not None]
            yield from (Problem(name, "requires `path`", "set `path` as well") for name in unused)
        if self.missing == "interpolate" and self.windows is None:
            yield Problem(
                "missing",
                "only rows in time have neighbours",
                "set " + data_setting("windows") + ", or use mean or median",
            )
        if self.samples is not None and self.builtin not in GENERATED:
            yield Problem("samples", "the data are not generated", f"only {', '.join(GENERATED)} are generated")
        if self.noise is not None and self.builtin not in NOISY:
            yield Problem("noise", "the data have no noise", f"only {', '.join(NOISY)} have noise")
        named = [name for name in ("images", "audio", "text", "windows") if getattr(self, name) is not None]
        yield from (Problem(name, f"set together with `{named[0]}`", "keep one of them") for name in named[1:])
        if self.decimal is not None and self.decimal == self.thousands:
            yield Problem("thousands", "the same as the decimal mark", "set only one of them")
        yield from self._role_rules()

    def _role_rules(self) -> Iterator[Problem]:
        """Yield a problem for each column with two roles."""
        roles = [("exclude", name) for name in self.exclude]
        roles += [("features", name) for name in self.features or () if self.windows is None]  # its past is a feature
        roles += [("weight", self.weight)] if self.weight is not None else []
        role_of = dict.fromkeys(self.targets, "target")
        if len(role_of) < len(self.targets):
            yield Problem("target", "names a column twice", "name each column once")
        for role, name in roles:
            if name in role_of:
                yield Problem(role, f"'{name}' is already listed under {role_of[name]}", "give a column only one role")
            role_of[name] = role

    def _builtin_rules(self, name: str) -> Iterator[Problem]:
        if name not in BUILTINS:
            is_path = any(mark in name for mark in "./\\")
            cure = f"for a file, write data: {{path: {name}}}" if is_path else did_you_mean(name, BUILTINS)
            yield Problem("builtin", f"unknown built-in data set '{name}'", cure)
        if self.path is not None:
            yield Problem("path", f"set together with the built-in '{name}'", "keep one of builtin and path")


def plain_scale(scale: Any) -> tuple[str, float]:
    """Return a scale setting as the name of its method and, for `divide`, the divisor."""
    return ("divide", float(scale["divide"])) if isinstance(scale, dict) else (scale, 1.0)


def find_targets(names: tuple[str, ...], settings: DataSettings) -> tuple[str, ...]:
    """Return the target columns: the configured ones, else the one with a usual name, else the last."""
    if settings.targets or settings.task == "unsupervised":
        return settings.targets
    usual = [name for name in names if name.lower() in USUAL_NAMES]
    return (usual[0] if len(usual) == 1 else names[-1],)
