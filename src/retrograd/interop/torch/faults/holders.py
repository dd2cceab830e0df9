"""Parameters that two optimizers share, or that the model does not register."""

from __future__ import annotations

from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.present.wording import some_of

TURNS = threshold("U18", "turns")


@loop_faults.register("two_optimizers")
class TwoOptimizers(LoopFault):
    """Two optimizers step the same parameters in turn, each with gradients meant for the other."""

    code = "U18"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the shared parameters."""
        turns = max(journal.alternations.values(), default=0)
        if turns < TURNS:
            return
        shared = [path for path, p in journal.model.named_parameters() if id(p) in journal.shared]
        yield self.finding(
            journal.places.get("step"),
            "two optimizers take turns in stepping the same parameters: {parameters}",
            Evidence("parameters in both", len(shared), 0.0),
            Evidence("changes from one to the other", turns, TURNS),
            values={"parameters": some_of(shared, 3)},
            remedy="give each optimizer only the parameters of its own part",
            confidence=0.96,
        )


@loop_faults.register("unregistered")
class Unregistered(LoopFault):
    """Layers in a plain list are not part of the model: parameters(), to() and state_dict() ignore them."""

    code = "U03"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the lists whose parameters get gradients but are in no optimizer."""
        for path, unregistered in journal.hidden.items():
            trained = [p for p in unregistered if p.requires_grad and p.grad is not None and id(p) not in journal.held]
            if trained:
                yield self.finding(
                    path,
                    "{path} is a plain list or dictionary: {count} parameters in it get gradients but are "
                    "not among model.parameters(), so no optimizer updates them",
                    Evidence("entries of these parameters", sum(p.numel() for p in trained), 0.0),
                    values={"path": path, "count": len(trained)},
                    remedy="use nn.ModuleList, nn.ModuleDict or nn.ParameterList, before making the optimizer",
                    confidence=0.98,
                )
