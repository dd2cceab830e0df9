"""Batch norm's running averages, which evaluation uses, against the batches that training saw."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from retrograd.base.finding import Evidence, Finding
from retrograd.diagnosis.catalogue import threshold
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal

USUAL, LAST, TURNS = 0.1, 3, 30  # PyTorch's momentum; looks that agree; passes after which 0.9^30 = 4 % is still old
HALF, KERAS = threshold("B25", "channels"), threshold("S17", "newest_in_torch")


@loop_faults.register("averages_lag")
class AveragesLag(LoopFault):
    """The running mean and variance are far from those of the batches: training is right, and evaluation is not."""

    code = "B25"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the layer that lags most, and momenta that keep the last batch only."""
        norms = list(journal.norms)
        by_path: dict[str, list[float]] = {}
        momenta = {path: momentum for path, _, momentum in norms}
        for path, share, _ in norms:
            by_path.setdefault(path, []).append(share)
        late = {path: median(shares[-LAST:]) for path, shares in by_path.items() if len(shares) >= LAST}
        path = max(late, key=lambda each: late[each], default="")
        if path and late[path] >= HALF and momenta[path] < USUAL and journal.turns >= TURNS:
            yield self.finding(
                path,
                "the running averages of batch norm lag behind the batches in {share:.0%} of the "
                "channels (momentum {momentum:g}): evaluation uses them and answers differently from "
                "training",
                Evidence("share of channels more than a deviation apart", late[path], HALF),
                values={"share": late[path], "momentum": momenta[path]},
                remedy="momentum=0.1, or estimate them again: torch.optim.swa_utils.update_bn(loader, model)",
                confidence=0.95,
            )
        high = [each for each, momentum in momenta.items() if momentum >= KERAS]
        if high and journal.turns >= TURNS:
            yield self.finding(
                high[0],
                "momentum {momentum:g} makes the last batch nearly all of the running averages: in "
                "PyTorch it is the share of the new batch",
                Evidence("share of the last batch", momenta[high[0]], KERAS),
                values={"momentum": momenta[high[0]]},
                remedy=f"momentum={1 - momenta[high[0]]:.3g}",
                code="S17",
                severity="risk",
                confidence=0.8,
            )
