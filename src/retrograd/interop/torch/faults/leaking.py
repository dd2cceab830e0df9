"""Outputs that depend on what they must not see: their own answers, or other rows."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal

FEWEST = 2  # inspections that must agree: one may be a batch of equal rows


@loop_faults.register("answer_in_the_input")
class AnswerInTheInput(LoopFault):
    """An output depends on inputs that contain its answer, for example without a causal mask."""

    code = "D10"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield outputs that depend on later steps, targets that equal the inputs, and columns that are the target."""
        kinds = [leak.kind for leak in journal.leaks]
        place = journal.places.get("forward")
        if kinds.count("later") >= FEWEST:
            leak = next(leak for leak in journal.leaks if leak.kind == "later")
            yield self.finding(
                place,
                "the target at time t is the input at t + 1, and the output at t = {time} depends on "
                "inputs after t: in training it sees the answer, which it will not have in use",
                Evidence("dependence on later inputs / on all", leak.strength, 0.0),
                values={"time": leak.at},
                remedy="use a causal mask (is_causal=True, or an upper triangle of -inf) and no bidirectional layers",
                confidence=0.98,
            )
        if kinds.count("copied") >= FEWEST:
            yield self.finding(
                place,
                "the targets equal the inputs, position by position: the network only has to copy them",
                remedy="shift by one: inputs tokens[:, :-1], targets tokens[:, 1:]",
                confidence=0.96,
            )
        for column in journal.rows.leaking():
            yield self.finding(
                place,
                "column {column} of the inputs equals the target in every inspected row",
                values={"column": column},
                remedy="remove this column from the inputs",
                confidence=0.95,
            )


@loop_faults.register("rows_mixed")
class RowsMixed(LoopFault):
    """The output of one row depends on other rows of the minibatch."""

    code = "U20"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the row, and the layer that may mistake the batch axis for another."""
        if journal.functions.wrong():  # wrong gradients say nothing about dependence
            return
        mixed = [leak for leak in journal.leaks if leak.kind == "rows"]
        if (
            len(mixed) < FEWEST or len(journal.rows.batches) < FEWEST
        ):  # one batch for ever: the nodes of a graph, perhaps
            return
        parts = (nn.RNNBase, nn.MultiheadAttention)
        layers = [path for path, module in journal.model.named_modules()
                  if isinstance(module, parts) and not module.batch_first]  # fmt: skip
        words = f": {layers[0]} treats the first axis as time (batch_first is off)" if layers else ""
        yield self.finding(
            journal.places.get("forward"),
            "the output of row {row} depends on other rows of the minibatch{words}",
            Evidence("dependence on other rows / on its own", mixed[-1].strength, 0.0),
            values={"row": mixed[-1].at, "words": words},
            remedy="set batch_first=True" if layers else "look for softmax, mean, view or reshape along the first axis",
            severity="fault" if layers else "risk",
            confidence=0.96 if layers else 0.75,
        )
