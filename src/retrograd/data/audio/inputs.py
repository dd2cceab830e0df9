"""Fitted inputs for sounds: their form and the scale of their bands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import ConfigDict

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.audio.mel import Form
from retrograd.data.audio.reading import sounds_of_arrays, sounds_of_table
from retrograd.data.audio.rows import Sounds
from retrograd.data.audio.settings import LONGEST, AudioSettings
from retrograd.data.cells.precision import floats
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings, plain_scale
from retrograd.data.table import Table, from_any_frame
from retrograd.data.tables.scaling import Scaling, fit_scaling


@dataclass(frozen=True)
class AudioInputs:
    """Sounds in one form, scaled band by band."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    form: Form
    scaling: Scaling
    column: str | None = None
    kind: Literal["audio"] = "audio"

    def __post_init__(self) -> None:
        if len(self.scaling.scale) != self.form.bands:
            raise ValueError("form and scaling differ in bands")

    @property
    def features(self) -> tuple[str, ...]:
        """Empty: x is not flat."""
        return ()

    @property
    def embedded(self) -> dict[str, int]:
        """Batch columns of identifiers: none."""
        return {}

    def rows_of(self, data: Any, targets: tuple[str, ...] = ()) -> Sounds:
        """Return data as sounds: Sounds, a table of paths, or arrays of samples at the form's rate."""
        if isinstance(data, Sounds):
            return data
        if isinstance(data, Table) or hasattr(data, "columns"):
            return sounds_of_table(data if isinstance(data, Table) else from_any_frame(data), self.column)
        arrays = data if isinstance(data, Mapping) else {"x": data}
        if isinstance(arrays.get("x"), str | Path):
            raise DataError("expected sounds", cure="pass a file, a folder, a table of paths, or arrays of samples")
        return sounds_of_arrays(arrays, self.form.rate, "arrays", targets[0] if targets else "y")

    def target_table(self, sounds: Sounds) -> Table:
        """Return the table with the labels or quantities of each sound."""
        if sounds.table is None:
            cure = "put the sounds in a sub-folder for each class, or use a table of paths and labels"
            raise DataError("the sounds have no labels", where=sounds.where, cure=cure)
        return sounds.table

    def encode(self, sounds: Sounds, report: Report, with_target: bool) -> dict[str, np.ndarray]:
        """Return `x` [rows, frames, bands], 0 after the end of a sound, and `mask`, bool [rows, frames]."""
        features, mask = sounds.features(self.form, floats())
        x = self.scaling.to_floats(features)
        x[~mask] = 0
        return {"x": x, "mask": mask}


def audio_form(sounds: Sounds, settings: DataSettings) -> Form:
    """Return the form of sounds that the settings ask for.

    Raises:  ConfigError for bands above half the sample rate
    """
    section = settings.audio or AudioSettings()
    rates = Counter(head.rate for head in sounds.heads)
    rate = section.sample_rate or max(rates, key=lambda rate: (rates[rate], -rate))
    longest = max(head.seconds for head in sounds.heads)
    window = max(2, round(section.window * rate / 1000))
    samples = max(window, round((section.length or min(longest, LONGEST)) * rate))
    high = section.high or rate / 2
    if high > rate / 2 or section.low >= high:
        name, value = ("high", high) if high > rate / 2 else ("low", section.low)
        message = f"{value:g} Hz, but {rate:,} samples per second contain nothing above {rate / 2:g} Hz"
        raise ConfigError(message, where=f"data.audio.{name}", cure="choose a lower frequency")
    return Form(rate, samples, window, max(1, round(section.hop * rate / 1000)), section.bands, section.low, high)


def fit_audio(train: Sounds, form: Form, settings: DataSettings) -> AudioInputs:
    """Return inputs fitted on training sounds: standardised band by band over all frames, or scaled as configured."""
    method, divisor = plain_scale("standard" if settings.scale is None else settings.scale)
    if method == "log":
        cure = "use standard, robust, minmax, none or {divide: n}"
        raise ConfigError("the features are already logarithms", where="data.scale", cure=cure)
    features, mask = train.features(form, floats())
    column = None if settings.audio is None else settings.audio.column
    return AudioInputs(form, fit_scaling(features[mask], method, divisor, settings.clip), column)
