"""The graph of a pass: cut where gradients should flow, or kept when it should be released."""

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
    """A parameter takes part in the forward pass, but never gets a gradient."""

    code = "U08"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the parameters without gradients."""
        trainable = [path for path, p in journal.model.named_parameters() if p.requires_grad]
        cut = [path for path in trainable if path not in journal.had_gradient]
        if journal.looks < 2 or not cut:
            return
        used = [path for path in cut if _module(path) in journal.called or "." not in path]
        evidence = Evidence("parameters without a gradient", len(cut), 0.0)
        if len(cut) == len(trainable):
            yield self.finding(
                assigned(journal.places.get("backward"), "backward") or journal.places.get("backward"),
                "no parameter of the model gets a gradient from backward(): the loss is detached from the outputs",
                evidence,
                remedy="compute the loss from the outputs themselves, without detach(), item() or a new tensor",
                confidence=0.98,
            )
        elif used:
            yield self.finding(
                _cut(journal.model) or used[0],
                "{paths} take part in the forward pass but never get a gradient: the graph is cut after them",
                evidence,
                values={"paths": some_of(used, 3)},
                remedy="remove .detach(), .data, .item() or no_grad() between them and the loss",
                confidence=0.93,
            )
        else:
            yield self.finding(
                cut[0],
                "{paths} are never used in the forward pass",
                evidence,
                values={"paths": some_of(cut, 3)},
                severity="note",
                confidence=0.3,
            )


@loop_faults.register("graphs_kept")
class GraphsKept(LoopFault):
    """Graphs of earlier passes stay alive: a loss is summed or stored in a list together with its graph."""

    code = "U11"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the number of graphs that are kept alive."""
        if journal.alive < MOST_ALIVE:
            return
        yield self.finding(
            assigned(journal.places.get("backward"), "backward") or journal.places.get("backward"),
            "at least {graphs} graphs of earlier passes are kept in memory: a loss or output is "
            "stored or summed without being detached, so memory grows with every step",
            Evidence("graphs of earlier passes alive", journal.alive, MOST_ALIVE),
            values={"graphs": journal.alive},
            remedy="store numbers: total += loss.item(), or loss.detach()",
            confidence=0.92,
        )


def _module(path: str) -> str:
    return path.rpartition(".")[0]


def _cut(model: nn.Module) -> Place | None:
    """Return the first line in the user's forward methods that seems to cut the graph."""
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
