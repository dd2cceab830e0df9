"""Rows and answers as they enter the loop."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.verdict import trivial_loss

FEWEST = 10  # minimum number of repeated rows
SHARE, PURE, DROPPED = threshold("U09", "contradicted"), threshold("U09", "pure"), threshold("U13", "share")
SHARE_LEFT = 0.8  # of the loss of a constant answer, below which rows do determine their answers
BORROWED = 0.1  # share of the contradictions whose new answer belonged to another row
LOOKS = 5  # inspections that must agree: fewer may be chance
HALF = 0.5  # of the rows: a training part is usually at least that large


@loop_faults.register("answers_apart")
class AnswersApart(LoopFault):
    """The same row recurs with another answer: inputs and targets are in different orders."""

    code = "U09"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the share of repeated rows whose answer has changed."""
        rows = journal.rows
        if rows.repeated < FEWEST or rows.contradicted < SHARE * rows.repeated:
            return
        if rows.borrowed < BORROWED * rows.contradicted:
            return  # new answers each time, as from a teacher or a sampler
        trivial = trivial_loss(journal)
        if trivial is not None and journal.losses.end() < SHARE_LEFT * trivial:
            return  # rows do determine their answers
        # equal rows within one minibatch disagree only if the labels themselves do
        if rows.within_contradicted > 0.1 * max(rows.within, 1):
            return  # the data contain equal rows with different answers
        yield self.finding(
            journal.places.get("forward"),
            "{contradicted} of {repeated} repeated rows had a different target: inputs and targets are not indexed "
            "in the same order",
            Evidence("share of repeated rows with another answer", rows.contradicted / rows.repeated, SHARE),
            values={"contradicted": rows.contradicted, "repeated": rows.repeated},
            remedy="index both with the same permutation: x[idx], y[idx]",
            confidence=0.97,
        )


@loop_faults.register("same_batch")
class SameBatch(LoopFault):
    """Every step sees the same minibatch, although there are more rows."""

    code = "U09"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the size of the only minibatch."""
        rows, n = journal.rows, journal.rows.available
        if journal.looks < LOOKS or len(rows.batches) != 1:
            return
        if n is None or not rows.size or rows.size >= HALF * n:  # the full batch; the rest may be held out
            yield self.finding(
                journal.places.get("forward"), "every step sees the same rows (a full batch?)",
                severity="note", confidence=0.2,
            )  # fmt: skip
            return
        yield self.finding(
            journal.places.get("forward"),
            "every step sees the same {size} rows, although there are {rows}",
            Evidence("different minibatches observed", 1.0, 2.0),
            values={"size": rows.size, "rows": n},
            remedy="take a new minibatch in each iteration: for x, y in loader (not next(iter(loader)))",
            confidence=0.96,
        )


@loop_faults.register("sorted_rows")
class SortedRows(LoopFault):
    """Each minibatch contains a single class: the rows are sorted and not shuffled."""

    code = "U09"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the share of minibatches with a single class."""
        rows = journal.rows
        if rows.looks < LOOKS or len(rows.labels) < 2 or rows.pure < PURE * rows.looks:
            return
        yield self.finding(
            journal.places.get("forward"),
            "{pure} of {looks} minibatches contain a single class out of {classes}: each pulls the network towards it",
            Evidence("share of minibatches with one class", rows.pure / rows.looks, PURE),
            values={"pure": rows.pure, "looks": rows.looks, "classes": len(rows.labels)},
            remedy="shuffle the rows: DataLoader(..., shuffle=True), or a new permutation in each epoch",
            confidence=0.95,
        )


@loop_faults.register("rows_left_out")
class RowsLeftOut(LoopFault):
    """The last, smaller minibatch is dropped, or batch norm gets a single row."""

    code = "U13"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the rows that no epoch sees, and batch norm over a single row."""
        rows = journal.rows
        if rows.loader_drops and rows.available:
            share = rows.loader_drops / rows.available
            yield self.finding(
                journal.places.get("forward"),
                "drop_last excludes {dropped} of {rows} rows from every epoch",
                Evidence("share of rows dropped", share, DROPPED),
                values={"dropped": rows.loader_drops, "rows": rows.available},
                remedy="set drop_last=False, or choose a batch size that divides the number of rows",
                severity="risk" if share > DROPPED else "note",
                confidence=0.6,
            )
        norms = journal.single_row_norms
        if norms or "more than 1 value per channel" in journal.failure:
            path = next(iter(norms), "")
            yield self.finding(
                path or journal.places.get("forward"),
                "batch norm gets a single row in training: its mean is the row itself{refusal}",
                Evidence("inspections with one row in batch norm", sum(norms.values()), 0.0),
                values={"refusal": "" if norms else ", which PyTorch refuses"},
                remedy="use larger batches, drop_last=True if one row is left over, or group norm",
                confidence=0.9,
            )


@loop_faults.register("view_for_permute")
class ViewForPermute(LoopFault):
    """A view or reshape used to reorder dimensions: the numbers stay where they are, and their meanings are mixed."""

    code = "U20"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the two shapes, or images that are smoother when read as channels-last."""
        for reshape in journal.reshapes.values():
            yield self.finding(
                reshape.place,
                "{before} is viewed as {after}: the dimensions change places but the numbers do not, so "
                "that values of different pixels, rows or channels are mixed",
                values={"before": reshape.before, "after": reshape.after},
                remedy="use permute or transpose to reorder dimensions; view only splits and joins neighbours",
                confidence=0.95,
            )
        if journal.grainy is not None and not journal.reshapes:
            roughness, restored = journal.grainy
            if restored < 0.5 * roughness:  # correct images would get rougher
                yield self.finding(
                    journal.places.get("forward"),
                    "the images are twice as smooth when their numbers are read as channels-last: "
                    "they were viewed as channels-first instead of permuted",
                    Evidence("roughness", roughness, 2 * restored),
                    remedy="use images.permute(0, 3, 1, 2)",
                    confidence=0.85,
                )
