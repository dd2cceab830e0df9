"""The `data:` section of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from retrograd.base.annotations import Expect, describing
from retrograd.base.errors import Problem, did_you_mean
from retrograd.base.quantities import (
    AnySeed,
    ByteCount,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from retrograd.base.schema import Settings
from retrograd.data.builtin.inline import InlineRows, row_problems
from retrograd.data.images.settings import ImageSettings
from retrograd.data.texts.settings import TextSettings
from retrograd.data.windows.settings import WindowSettings

NOISY = ("circles", "moons", "spirals", "sine", "shapes", "waves", "demand")
GENERATED = (*NOISY, "number_words", "reviews", "tales")
BUILTINS = ("xor", "and", *GENERATED, "digits", "iris", "wine", "breast_cancer", "diabetes")
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
    "answer",
]
Scale = Annotated[
    Literal["none", "standard", "robust", "minmax"] | dict[Literal["divide"], PositiveFloat],
    Expect("none, standard, robust, minmax or {divide: n}"),
]
Kind = Annotated[
    str,
    Expect(f"one of {', '.join(KINDS)}, a date's format such as %d/%m/%Y, or a number such as 1.234,56"),
]
Character = Annotated[str, Field(min_length=1, max_length=1), Expect("a single character")]
BuiltinName = Annotated[str | None, Field(json_schema_extra={"enum": [*BUILTINS, None]}), Expect("a built-in's name")]


@dataclass(frozen=True)
class SplitSettings(Settings):
    """How the rows are divided into training, validation and test part.

    `auto` is `stratified` for classes and `random` for numbers; fewer than 10 rows all train. `time` puts the oldest
    rows (by `column`, or in the order of the file) into training; `group` keeps rows with the same value in `column`
    together; `none` trains on every row. A part that has its own file is not split off; with a validation file and
    `auto` nothing is.
    """

    method: Literal["auto", "random", "stratified", "time", "group", "none"] = "auto"
    valid: Fraction = 0.15
    test: Fraction = 0.15
    column: str | None = None
    seed: AnySeed = 0

    words = describing(
        method=(
            "how rows are chosen for validation and test",
            "",
            "",
            "classes keep their shares, numbers are drawn at random; a table of fewer than 10 rows trains whole",
        ),
        valid=(
            "share of the rows that steer training: early stopping and the best weights",
            "a steadier measure, fewer rows to learn from",
            "more rows to learn from, a shakier measure",
            "enough to measure, few enough to spare",
        ),
        test=(
            "share of the rows that are measured once, at the end",
            "a steadier measure, fewer rows to learn from",
            "more rows to learn from, a shakier measure",
            "as many as for validation",
        ),
        column="the column of times or groups, for the methods `time` and `group`",
        seed=("what the split is drawn from; the same seed gives the same parts", "", "", "any number will do"),
    )

    def rules(self) -> Iterator[Problem]:
        """Yield what is wrong between fields."""
        if self.valid + self.test >= 1:
            yield Problem(
                "valid", f"valid and test take {self.valid + self.test:g} of the rows", "leave some for training"
            )
        if self.method == "group" and self.column is None:
            yield Problem("column", "missing", "name the column whose values are the groups")
        if self.column is not None and self.method not in ("time", "group"):
            yield Problem("column", f"not used by the method '{self.method}'", "choose method: time or method: group")


@dataclass(frozen=True)
class DataSettings(Settings):
    """Where the data come from and how they become numbers.

    Either `builtin` or `path`: CSV, TSV, ARFF, JSON, JSONL, Parquet, Feather, XLSX, SQLite, NPY, NPZ (most also as .gz,
    .bz2, .xz, .zst, .zip); a folder or pattern (`parts/*.csv`) of such files, or a folder of images or of text files.
    `None` means: decided by the kind of data. Tables are standardised, images divided by 255, arrays and most built-ins
    taken as they are.
    """

    builtin: BuiltinName = None
    path: str | None = None
    rows: InlineRows | None = None
    columns: tuple[str, ...] = ()  # of `rows`
    valid_path: str | None = None
    test_path: str | None = None
    # what the columns are
    target: str | tuple[str, ...] | None = None  # default: a column named target, label, class or y, else the last
    task: Literal["auto", "binary", "multiclass", "multilabel", "regression", "unsupervised"] = "auto"
    features: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    weight: str | None = None
    kinds: dict[str, Kind] = field(default_factory=dict)
    # how they become numbers
    scale: Scale | None = None
    clip: PositiveFloat | None = None
    scale_target: Literal["none", "standard", "robust", "minmax"] | None = None
    categories: Literal["one_hot", "embed"] = "one_hot"
    max_categories: PositiveInt = 64  # of a column; rarer ones count as unseen
    missing: Literal["mean", "median", "drop", "interpolate", "error"] = "mean"
    missing_values: tuple[str, ...] = MISSING_WORDS
    invalid: Literal["error", "missing"] = "error"  # cells that are not of their column's kind
    keep_integers: bool = False  # integer arrays x are identifiers for an embedding, not numbers
    split: SplitSettings = SplitSettings()
    # data that are no plain table
    images: ImageSettings | None = None
    text: TextSettings | None = None
    windows: WindowSettings | None = None
    # how files are read
    header: bool | None = None  # default: decided by the first lines
    skip_lines: NonNegativeInt | None = None  # above the header; default: decided by the first lines
    skip_footer: NonNegativeInt | None = None  # rows at the end; default: decided by the last lines
    comment: str | None = None  # default: decided by the first lines
    separator: Character | None = None
    decimal: Literal[".", ","] | None = None  # default: decided by the cells
    thousands: Literal[",", ".", " ", "'"] | None = None  # default: decided by the cells
    encoding: str | None = None
    sheet: str | None = None  # of a spreadsheet; default: the first with cells
    query: str | None = None  # of a database; default: all of its only table
    max_bytes: ByteCount = 512 * 1024**2  # of a file, decompressed
    # for the built-ins that are generated
    samples: PositiveInt | None = None
    noise: NonNegativeFloat | None = None
    seed: AnySeed = 0

    words = describing(
        builtin="a data set that comes with the program",
        path="the file that holds the rows, a pattern such as `parts/*.csv`, or a folder of tables, images or texts",
        rows=("the rows themselves, each a list of cells, the target last", "", "", "taken as they are"),
        columns=("the names of the columns of `rows`", "", "", "x1, x2, ... and y for the last one"),
        images="how images are found and decoded, where the data are images",
        text="how texts are cut into tokens, and what is learned from them",
        windows="how windows are laid over the rows, for a forecast",
        valid_path="a file with the validation rows; none are split off then",
        test_path="a file with the test rows; none are split off then",
        target=("the column to predict, or several", "", "", "a column named target, label, class or y, else the last"),
        task=(
            "what is predicted: a class, several labels at once, or a quantity",
            "",
            "",
            "read off the target: text and few whole numbers are classes, several columns of 0 and 1 are labels",
        ),
        features="the columns to learn from; all but the target unless given",
        exclude="columns to leave out",
        weight="the column that says what each row counts for",
        kinds="what kind of values a column holds, where the guess is wrong",
        scale=(
            "how numbers are brought to one size; fitted on the training rows",
            "",
            "",
            "tables are standardised, as columns differ in unit; arrays and most built-ins are taken as they are",
        ),
        clip=(
            "how far from 0 a scaled number may lie; what lies farther is brought there",
            "changes fewer numbers",
            "single wild numbers disturb less, and large ones are told apart less",
            "numbers are taken as they are",
        ),
        scale_target=(
            "how the target's numbers are scaled; predictions are scaled back",
            "",
            "",
            "a quantity of a table is standardised, so that a learning rate suits any unit",
        ),
        categories=(
            "how categories become numbers: a column for each, or identifiers for an embedding",
            "",
            "",
            "one column each needs no further layer",
        ),
        max_categories=(
            "categories of one column that are told apart; rarer ones count as unseen",
            "tells more apart, makes the input wider",
            "merges rare ones",
            "more are seldom learnt from",
        ),
        missing=(
            "what stands in for a missing number; interpolate: a line between its neighbours in time, for windows",
            "",
            "",
            "the mean changes the column's mean least",
        ),
        missing_values=("words that mean: no value here", "", "", "what spreadsheets and data frames write"),
        invalid=("what happens to a cell that is not of its column's kind", "", "", "a typing error should be seen"),
        keep_integers=(
            "whether whole numbers in arrays stay identifiers for an embedding",
            "",
            "",
            "numbers are quantities unless said otherwise",
        ),
        split="how the rows are divided into training, validation and test part",
        header=("whether the first line names the columns", "", "", "decided by the first lines together"),
        skip_lines=(
            "lines above the header that are not read",
            "skips more of the file's head",
            "reads more of it",
            "titles are recognised: they fill at most half of a row's cells",
        ),
        skip_footer=(
            "rows at the end of a text file that are not read",
            "leaves out more",
            "keeps more",
            "a total or a remark in the last lines is recognised",
        ),
        comment=('with what a line begins that is not read; "" for none', "", "", "decided by the first lines"),
        separator=(
            "the character between two cells; a blank stands for any run of blanks and tabs",
            "",
            "",
            "the one that divides the lines most evenly",
        ),
        decimal=("the decimal mark", "", "", "decided by each column's cells, then by the table's"),
        thousands=("the mark between thousands", "", "", "decided by each column's cells"),
        encoding=("the file's character encoding", "", "", "recognised by its first bytes"),
        sheet=("the sheet of a spreadsheet", "", "", "the first that has cells"),
        query=("an SQL query that selects the rows of an SQLite database", "", "", "all rows of its only table"),
        max_bytes=(
            "the largest file that is read, decompressed",
            "reads larger files",
            "refuses more",
            "beyond it a file hardly fits into memory as a table",
        ),
        samples=("how many points are generated", "a finer picture, slower epochs", "a coarser picture"),
        noise=("standard deviation of the noise on generated points", "harder to tell apart", "easier to tell apart"),
        seed=("what generated points are drawn from", "", "", "any number will do"),
    )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the target columns, as far as they were given."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def text_beside_others(self) -> bool:
        """Whether `text:` says how the text columns of a table are cut, rather than that one text is the input."""
        own = self.text
        return own is not None and "text" in self.kinds.values() and not (own.column or own.answer or own.next)

    def rules(self) -> Iterator[Problem]:
        """Yield what is wrong between fields."""
        if self.builtin is not None:
            yield from self._builtin_rules(self.builtin)
        for name, kind in self.kinds.items():
            if kind not in KINDS and "%" not in kind and not NUMBER_EXAMPLE.match(kind):
                yield Problem(f"kinds.{name}", f"unknown kind '{kind}'", did_you_mean(kind, KINDS))
        yield from row_problems(self.rows, self.columns, self.builtin or self.path)
        if self.path is None:
            given = [name for name in ("valid_path", "test_path") if getattr(self, name) is not None]
            yield from (Problem(name, "there is no path that it belongs to", "give path as well") for name in given)
        if self.missing == "interpolate" and self.windows is None:
            yield Problem("missing", "only rows in time have neighbours", "set `windows:`, or choose mean or median")
        if self.samples is not None and self.builtin not in GENERATED:
            yield Problem("samples", "the data are not generated", f"only {', '.join(GENERATED)} are generated")
        if self.noise is not None and self.builtin not in NOISY:
            yield Problem("noise", "the data have none", f"only {', '.join(NOISY)} have")
        given = [name for name in ("images", "text", "windows") if getattr(self, name) is not None]
        yield from (Problem(name, f"given beside `{given[0]}`", "keep one of them") for name in given[1:])
        if self.decimal is not None and self.decimal == self.thousands:
            yield Problem("thousands", "the same as the decimal mark", "give one of them")
        yield from self._role_rules()

    def _role_rules(self) -> Iterator[Problem]:
        """Yield the columns that are to be two things at once."""
        roles = [("exclude", name) for name in self.exclude]
        roles += [("features", name) for name in self.features or () if self.windows is None]  # the past is a feature
        roles += [("weight", self.weight)] if self.weight is not None else []
        taken = dict.fromkeys(self.targets, "target")
        if len(taken) < len(self.targets):
            yield Problem("target", "names a column twice", "name each once")
        for role, name in roles:
            if name in taken:
                yield Problem(role, f"'{name}' stands under {taken[name]} already", "a column has one role")
            taken[name] = role

    def _builtin_rules(self, name: str) -> Iterator[Problem]:
        if name not in BUILTINS:
            is_path = any(mark in name for mark in "./\\")
            cure = f"for a file write data: {{path: {name}}}" if is_path else did_you_mean(name, BUILTINS)
            yield Problem("builtin", f"unknown built-in data set '{name}'", cure)
        if self.path is not None:
            yield Problem("path", f"the data are the built-in '{name}' already", "give one of builtin and path")


def plain_scale(scale: Any) -> tuple[str, float]:
    """Return a scale setting as its method's name and, for `divide`, the divisor."""
    return ("divide", float(scale["divide"])) if isinstance(scale, dict) else (scale, 1.0)
