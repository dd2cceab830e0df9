"""Batch norm's running averages, which evaluation uses, compared with the batches of training."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal

USUAL, LAST, TURNS = 0.1, 3, 30  # PyTorch's momentum; inspections that must agree; passes after which 0.9^30 = 4 %
HALF, KERAS = threshold("B25", "channels"), threshold("S17", "newest_in_torch")


@loop_faults.register("averages_lag")
class AveragesLag(LoopFault):
    """The running mean and variance are far from those of the batches: training is right, but evaluation is not."""

    code = "B25"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the layer that lags most, and a momentum that keeps hardly more than the last batch."""
        norms = list(journal.norms)
        by_path: dict[str, list[float]] = {}
        momenta = {path: momentum for path, _, momentum in norms}
        for path, share, _ in norms:
            by_path.setdefault(path, []).append(share)
        lag = {path: median(shares[-LAST:]) for path, shares in by_path.items() if len(shares) >= LAST}
        path = max(lag, key=lambda path: lag[path], default="")
        if path and lag[path] >= HALF and momenta[path] < USUAL and journal.turns >= TURNS:
            yield self.finding(
                path,
                "the running averages of batch norm lag behind the batches in {share:.0%} of the "
                "channels (momentum {momentum:g}): evaluation uses them and answers differently from "
                "training",
                Evidence("share of channels more than a deviation apart", lag[path], HALF),
                values={"share": lag[path], "momentum": momenta[path]},
                remedy="set momentum=0.1, or re-estimate them: torch.optim.swa_utils.update_bn(loader, model)",
                confidence=0.95,
            )
        high = [path for path, momentum in momenta.items() if momentum >= KERAS]
        if high and journal.turns >= TURNS:
            yield self.finding(
                high[0],
                "with momentum {momentum:g}, the running averages are little more than the last batch: in "
                "PyTorch, momentum is the share of the new batch",
                Evidence("share of the last batch", momenta[high[0]], KERAS),
                values={"momentum": momenta[high[0]]},
                remedy=f"set momentum={1 - momenta[high[0]]:.3g}",
                code="S17",
                severity="risk",
                confidence=0.8,
            )
