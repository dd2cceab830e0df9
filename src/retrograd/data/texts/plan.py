"""The plan for texts: which column is used, and what is learned from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrograd.base.errors import DataError
from retrograd.base.sentence import data_setting, sentence
from retrograd.data.cells.vocabulary import Vocabulary, fit_vocabulary
from retrograd.data.settings import DataSettings, find_targets
from retrograd.data.split.split import RowLabels
from retrograd.data.table import Table
from retrograd.data.tables.goal import Goal, Plan, find_goal
from retrograd.data.tables.multilabel import MultiLabels
from retrograd.data.tables.plan import split_keys
from retrograd.data.tables.target import Labels, Quantities
from retrograd.data.texts.corpus import Corpus
from retrograd.data.texts.inputs import CorpusInputs, TextInputs
from retrograd.data.texts.reading import text_column, texts_in
from retrograd.data.texts.settings import LONGEST, TextSettings
from retrograd.data.texts.targets import Answer, MaskedToken, NextToken
from retrograd.present.wording import some_of

USUAL_LENGTH = 64  # tokens per sequence of a language model


Target = Labels | MultiLabels | Quantities | Answer | None


@dataclass(frozen=True)
class TextPlan(Plan[Table, tuple[TextInputs, Target]]):
    """The plan for a table with a column of texts."""

    text: TextSettings
    column: str
    tokenizer: str | None

    def clean(self, rows: Table) -> Table:
        """Return the rows that have a target."""
        table = rows.with_missing(self.settings.missing_values)
        return table if self.text.answer is not None else self.goal.labelled(table)

    def fit(self, train: Table) -> tuple[TextInputs, Target]:
        """Return inputs (vocabulary and length) and target fitted on training rows."""
        vocabulary, length = self._fit(train, self.column, self.text.length)
        inputs = TextInputs(self.column, vocabulary, length, self.settings.missing_values)
        if self.text.answer is None:
            return inputs, self.goal.fit(train, self.settings.scale_target or "standard")
        answers, longest = self._fit(train, self.text.answer, self.text.answer_length)
        ends = (
            0 if self.text.answer_length else 1 + longest // 2
        )  # room for the end token, and for answers longer than these
        return inputs, Answer(self.text.answer, answers, longest + ends)

    def row_labels(self, rows: Table) -> RowLabels | None:
        """Return each row's class, or None without classes."""
        return self.goal.row_labels(rows)

    def split_keys(self, rows: Table) -> np.ndarray | None:
        """Return the times or groups by which the rows are split."""
        return split_keys(rows, self.settings)

    def _fit(self, train: Table, column: str, length: int | None) -> tuple[Vocabulary, int]:
        texts = [text or "" for text in texts_in(train, column)]
        vocabulary = fit_vocabulary(texts, self.text, self.tokenizer)
        longest = max(len(vocabulary.encode(text)) for text in texts)
        return vocabulary, length or max(1, min(longest, LONGEST))


@dataclass(frozen=True)
class CorpusPlan(Plan[Corpus, tuple[CorpusInputs, NextToken | MaskedToken]]):
    """The plan for running text, whose next or hidden tokens are learned."""

    text: TextSettings
    tokenizer: str | None

    @property
    def is_ordered(self) -> bool:  # type: ignore[override]
        """Whether the pieces form one text."""
        return self.rows.is_one

    def clean(self, rows: Corpus) -> Corpus:
        """Return the pieces."""
        return rows

    def fit(self, train: Corpus) -> tuple[CorpusInputs, NextToken | MaskedToken]:
        """Return inputs (the vocabulary) and target fitted on training pieces."""
        vocabulary = fit_vocabulary(train.texts, self.text, self.tokenizer)
        length = self.text.length or USUAL_LENGTH
        inputs = CorpusInputs(self.text.column, vocabulary, length, self.text.stride or length, self.text.masked)
        return inputs, NextToken(vocabulary) if self.text.masked is None else MaskedToken(vocabulary)


def plan_texts(table: Table, settings: DataSettings, text: TextSettings, tokenizer: str | None) -> TextPlan:
    """Find the column of texts, and what is learned."""
    table = table.with_missing(settings.missing_values)
    if text.answer is not None:
        table.column(text.answer)
        column = text_column(table, text, (text.answer,))
        goal, hint = Goal("answer", (text.answer,)), f"answer: from the text '{column}' to the text '{text.answer}'"
        return TextPlan(settings, goal, (hint,), table, text, column, tokenizer)
    targets = find_targets(table.names, settings)
    column = text_column(table, text, targets)
    targets = tuple(name for name in targets if name != column)
    goal = find_goal(table, targets, settings)
    if not goal.names:
        cure = sentence(
            "set the target column with {}, a text to generate with {}, or set {} or {}",
            data_setting("target"),
            data_setting("answer", section="text"),
            data_setting("next", "true", section="text"),
            data_setting("masked", "0.15", section="text"),
        )
        raise DataError("texts without a target", where=table.where, cure=cure)
    hint = "" if settings.targets else " (assumed to be the target; " + data_setting("target") + " selects another)"
    others = [name for name in table.names if name not in (column, *targets, *settings.exclude)]
    as_column = data_setting("kinds", f"{{{column}: text}}"), data_setting("text.column", "...")
    along = sentence("; to use them along with the text, set {} and remove {}", *as_column)
    beside = (f"ignored: {some_of(others)}" + along,) if others else ()
    notes = (*goal.notes(hint), f"text column: {column}", *beside)
    return TextPlan(settings, goal, notes, table, text, column, tokenizer).cleaned()


def plan_corpus(corpus: Corpus, settings: DataSettings, text: TextSettings, tokenizer: str | None) -> CorpusPlan:
    """Plan a language model, which may be masked."""
    characters = sum(map(len, corpus.pieces))
    what = "1 text" if corpus.is_one else f"{len(corpus)} texts"
    notes = [f"language model: {what} of {characters:,} characters"]
    if text.masked is not None:
        notes = [
            f"masked {notes[0]}",
            f"{100 * text.masked:g} % of the tokens are hidden; accuracy and perplexity are measured on these",
        ]
    goal = Goal("next_token" if text.masked is None else "masked_token", ())
    return CorpusPlan(settings, goal, tuple(notes), corpus, text, tokenizer)
