"""The plan for sounds: what to learn from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrograd.base.errors import ConfigError, DataError
from retrograd.data.audio.inputs import AudioInputs, audio_form, fit_audio
from retrograd.data.audio.mel import Form, filters
from retrograd.data.audio.rows import Sounds
from retrograd.data.cells.vocabulary import fit_vocabulary
from retrograd.data.read.folders import LABEL
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.split.split import RowLabels
from retrograd.data.tables.goal import Goal, Plan, find_goal
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.plan import split_keys
from retrograd.data.tables.target import Labels, Quantities
from retrograd.data.texts.reading import texts_in
from retrograd.data.texts.settings import TextSettings
from retrograd.data.texts.targets import Transcript

Target = Labels | MultiLabels | Quantities | Transcript | None


@dataclass(frozen=True)
class AudioPlan(Plan[Sounds, tuple[AudioInputs, Target]]):
    """The plan for sounds that each have a class, labels, quantities or a transcript."""

    form: Form

    def clean(self, rows: Sounds) -> Sounds:
        """Return the sounds."""
        return rows

    def fit(self, train: Sounds) -> tuple[AudioInputs, Target]:
        """Return inputs and target fitted on training sounds."""
        inputs, table, section = fit_audio(train, self.form, self.settings), train.table, self.settings.audio
        if table is None:
            return inputs, None
        if section is None or section.transcript is None:
            return inputs, self.goal.fit(table, self.settings.scale_target or "standard")
        texts = [text or "" for text in texts_in(table, section.transcript)]
        vocabulary = fit_vocabulary(texts, TextSettings(unit=section.unit), None)
        return inputs, Transcript(section.transcript, vocabulary)

    def row_labels(self, rows: Sounds) -> RowLabels | None:
        """Return the class of each sound, or None."""
        return None if rows.table is None else self.goal.row_labels(rows.table)

    def split_keys(self, rows: Sounds) -> np.ndarray | None:
        """Return the moments or groups by which the sounds are split."""
        if rows.table is not None:
            return split_keys(rows.table, self.settings)
        if self.settings.split.column is not None:
            raise ConfigError("the sounds have no columns", where="data.split.column", cure="use another split")
        return None


def plan_audio(sounds: Sounds, settings: DataSettings) -> AudioPlan:
    """Return the plan: to learn a class, labels or a number for each sound, its transcript, or the sound itself."""
    form = audio_form(sounds, settings)
    filters(form)  # rejects bands that are too narrow
    column = None if settings.audio is None else settings.audio.transcript
    goal, first = Goal("unsupervised", ()), None
    if column is not None:
        if sounds.table is None:
            cure = "use a table with a column of paths and a column of texts"
            raise DataError("`transcript` is set, but there are no texts", where=sounds.where, cure=cure)
        sounds.table.column(column)
        goal, first = Goal("transcription", (column,)), f"transcription: the texts are in '{column}'"
    elif sounds.table is not None and settings.task != "unsupervised":
        table = sounds.table.with_missing(settings.missing_values)
        usual = (LABEL,) if LABEL in table.names and not settings.targets else find_targets(table.names, settings)
        goal = find_goal(table, usual, settings)
    goal_notes = goal.notes("") if first is None else (first,)
    return AudioPlan(settings, goal, (*goal_notes, *sounds.notes(form)), sounds, form)
