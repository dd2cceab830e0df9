"""The graph of a pass: cut where it must hold, or held where it must go."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place, assigned
from retrograd.present.wording import some_of

CUTS = re.compile(
    r"\.detach\(|\.data\b|no_grad\(|\.item\(|\.numpy\(|torch\.tensor\(|\.argmax\(|\.round\(|inference_mode\("
)
MOST_ALIVE = threshold("U11", "alive")


@loop_faults.register("graph_cut")
class GraphCut(LoopFault):
    """A parameter takes part in the forward pass, and no gradient ever arrives there."""

    code = "U08"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the parameters without gradients."""
        trainable = [path for path, p in journal.model.named_parameters() if p.requires_grad]
        out = [path for path in trainable if path not in journal.had_gradient]
        if journal.looks < 2 or not out:
            return
        used = [path for path in out if _module(path) in journal.called or "." not in path]
        evidence = Evidence("parameters without a gradient", len(out), 0.0)
        if len(out) == len(trainable):
            yield self.finding(
                assigned(journal.places.get("backward"), "backward") or journal.places.get("backward"),
                "no parameter of the model gets a gradient from backward(): the loss is cut off from the outputs",
                evidence,
                remedy="compute the loss from the outputs themselves, without detach(), item() or a new tensor",
                confidence=0.98,
            )
        elif used:
            yield self.finding(
                _cut(journal.model) or used[0],
                "{paths} take part in the forward pass and never get a gradient: the graph is cut after them",
                evidence,
                values={"paths": some_of(used, 3)},
                remedy="take away the .detach(), .data, .item() or no_grad() between them and the loss",
                confidence=0.93,
            )
        else:
            yield self.finding(
                out[0],
                "{paths} are never used in the forward pass",
                evidence,
                values={"paths": some_of(out, 3)},
                severity="note",
                confidence=0.3,
            )


@loop_faults.register("graphs_kept")
class GraphsKept(LoopFault):
    """Graphs of passes long done are still alive: a loss is added up or kept in a list with its graph."""

    code = "U11"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield how many graphs are kept."""
        if journal.alive < MOST_ALIVE:
            return
        yield self.finding(
            assigned(journal.places.get("backward"), "backward") or journal.places.get("backward"),
            "at least {graphs} graphs of earlier passes are kept in memory: some loss or output is "
            "stored or added up without being detached, and memory grows with every step",
            Evidence("graphs of earlier passes alive", journal.alive, MOST_ALIVE),
            values={"graphs": journal.alive},
            remedy="keep numbers: total += loss.item(), or loss.detach()",
            confidence=0.92,
        )


def _module(path: str) -> str:
    return path.rpartition(".")[0]


def _cut(model: nn.Module) -> Place | None:
    """Return the line in the user's forward methods that looks as if it cuts the graph."""
    for module in model.modules():
        forward: Any = type(module).forward
        if type(module).__module__.startswith("torch."):
            continue
        try:
            lines, first = inspect.getsourcelines(forward)
            file = inspect.getsourcefile(forward) or ""
        except (OSError, TypeError):
            continue
        for number, line in enumerate(lines):
            if CUTS.search(line.partition("#")[0]):
                return Place(file, first + number)
    return None
