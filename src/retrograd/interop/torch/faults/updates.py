"""Parameters that do not change, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.place import Place, assigned, called
from retrograd.present.wording import some_of

FEWEST = 3  # minimum number of passes


@loop_faults.register("no_update")
class NoUpdate(LoopFault):
    """The loop runs, but no parameter changes: the backward pass or the step is missing."""

    code = "U02"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield which of the two calls is missing."""
        places = journal.places
        if journal.backwards == 0 and "grad" not in places and journal.training_forwards >= FEWEST:
            if not journal.changed:
                yield self.finding(
                    places.get("forward"),
                    "{passes} forward passes in training mode but no backward pass: there are no gradients",
                    Evidence("backward passes", 0.0, 1.0),
                    values={"passes": journal.training_forwards},
                    remedy="call loss.backward() before optimizer.step()",
                    confidence=0.97,
                )
        elif journal.backwards >= FEWEST and not journal.changed and not journal.copies and not journal.steps:
            yield self.finding(
                places.get("backward"),
                "{passes} backward passes but no step: no parameter has changed",
                Evidence("steps", 0.0, 1.0),
                values={"passes": journal.backwards},
                remedy="call optimizer.step() after loss.backward()",
                confidence=0.97,
            )


@loop_faults.register("updates_a_copy")
class UpdatesACopy(LoopFault):
    """New values are computed from the parameters but stay in another variable: the model never sees them."""

    code = "U14"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield arithmetic that changes no parameter, and parameters replaced after the optimizer was made."""
        if journal.backwards >= FEWEST and not journal.changed and not journal.steps and journal.copies:
            place = max(set(journal.copies), key=journal.copies.count)
            yield self.finding(
                place,
                "this line makes a new tensor from a parameter; the model's own parameter stays the same",
                Evidence("parameters that changed", 0.0, 1.0),
                remedy="update the parameter in place, under torch.no_grad(): p -= rate * p.grad, or use an optimizer",
                confidence=0.97,
            )
        now = {path: id(p) for path, p in journal.model.named_parameters()}
        replaced = [path for path, old in journal.at_start.items() if path in now and now[path] != old]
        orphans = [path for path in replaced if journal.at_start[path] in journal.stepped]
        lost = [path for path in orphans if now[path] not in journal.stepped]
        if lost and journal.steps:
            yield self.finding(
                lost[0],
                "{count} parameters of the model were replaced, but the optimizer still updates the old ones",
                Evidence("parameters that the optimizer does not have", len(lost), 1.0),
                values={"count": len(lost)},
                remedy="copy into the parameter (p.data.copy_(new)) or make the optimizer again",
                confidence=0.98,
            )


@loop_faults.register("not_in_optimizer")
class NotInOptimizer(LoopFault):
    """A parameter gets gradients, but no optimizer holds it, so it does not change."""

    code = "U03"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the parameters missing from the optimizer."""
        if not journal.steps:
            return
        parameters = dict(journal.model.named_parameters())
        with_gradient = {path for reading in journal.gradients for path in reading.nonzero}
        missing = [
            path
            for path, p in parameters.items()
            if p.requires_grad
            and path in with_gradient
            and id(p) not in journal.stepped
            and path not in journal.changed
            and journal.at_start.get(path) == id(p)
        ]
        if not missing:
            return
        entries = sum(parameters[path].numel() for path in missing)
        twins = [shape for shape in journal.foreign_shapes
                 if sum(tuple(parameters[path].shape) == shape for path in missing) > 1]  # fmt: skip
        tied = [path for path in missing if twins and tuple(parameters[path].shape) == twins[0]]
        if tied:
            yield self.finding(
                tied[0],
                "{parameters} seem to have been one shared parameter when the optimizer was made; they "
                "are separate now, and the optimizer has neither",
                Evidence("parameters of the optimizer that the model does not have", journal.foreign, 0.0),
                values={"parameters": " and ".join(tied)},
                remedy="initialise the shared tensor in place (nn.init.normal_), or make the optimizer after that",
                confidence=0.96,
            )
        stepped = f"; it has {journal.foreign} tensors that are not in the model" if journal.foreign else ""
        yield self.finding(
            assigned(journal.places.get("step"), "step") or journal.places.get("step"),
            "the optimizer does not have {parameters}: they get gradients but never change{stepped}",
            Evidence("entries of the missing parameters", entries, 0.0),
            values={"parameters": some_of(missing, 3), "stepped": stepped},
            remedy="pass model.parameters() to the optimizer after the last layer is in place",
            confidence=0.97,
        )


@loop_faults.register("frozen_parameters")
class FrozenParameters(LoopFault):
    """`requires_grad` is off, and the weights look freshly initialised: the layer was never trained."""

    code = "U15"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield frozen parameters that were not declared."""
        frozen = {
            path: p
            for path, p in journal.model.named_parameters()
            if not p.requires_grad and not path.startswith(journal.frozen or ("\0",))
        }
        if not frozen or not journal.backwards:
            return
        weights = [path for path, p in frozen.items() if p.ndim >= 2]
        fresh = [path for path in weights if looks_fresh(frozen[path])]
        is_reachable = not journal.steps or any(id(p) in journal.stepped for p in frozen.values())
        if is_reachable and fresh and fresh == weights:  # in a trained network, single weights may look fresh too
            yield self.finding(
                _switch(journal) or fresh[0],
                "{parameters} cannot be trained (requires_grad is off), and {fresh} look freshly "
                "initialised: a layer of random numbers that never learns",
                Evidence("frozen entries", sum(p.numel() for p in frozen.values()), 0.0),
                values={"parameters": some_of(list(frozen), 3), "fresh": some_of(fresh, 3)},
                remedy="set requires_grad_(True), or declare them: watch(model, optimizer, frozen=['path'])",
                severity="risk",
                confidence=0.8,
            )
        else:
            yield self.finding(
                next(iter(frozen)),
                "{parameters} cannot be trained (requires_grad is off)",
                values={"parameters": some_of(list(frozen), 3)},
                severity="note",
                confidence=0.1,
            )


@loop_faults.register("optimizer_recreated")
class OptimizerRecreated(LoopFault):
    """Every step is the first of a new optimizer: its momentum and averages are always lost."""

    code = "U18"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the number of optimizers that have stepped this model."""
        # half of the steps: a restart or two may be intended
        if journal.fresh_steps < 3 or journal.fresh_steps < 0.5 * journal.steps:
            return
        yield self.finding(
            assigned(journal.places.get("step"), "step") or journal.places.get("step"),
            "{fresh} of {steps} steps are the first of a new {optimizer}: its momentum and averages are lost each time",
            Evidence("optimizers that have stepped", journal.optimizers, 1.0),
            values={"fresh": journal.fresh_steps, "steps": journal.steps, "optimizer": journal.optimizer_kind},
            remedy="make the optimizer once, before the loop",
            severity="fault" if journal.stateful else "note",
            confidence=0.98,
        )


def looks_fresh(parameter: torch.Tensor) -> bool:
    """Return whether a weight is distributed as initializers draw it: uniformly or normally.

    uniform: E x^4 / (E x^2)^2 = 1.8;  normal: 3;  both with mean 0. Trained weights have longer tails.
    """
    values = parameter.detach().reshape(-1)[: 1 << 18].to(torch.float64)  # a quarter of a million, in a millisecond
    n = values.numel()
    if n < 64:  # fewer numbers do not show a distribution
        return False
    square = float((values**2).mean())
    if square == 0 or abs(float(values.mean())) > 4 * (square / n) ** 0.5:  # four standard errors of a mean
        return False
    kurtosis: float = float((values**4).mean()) / square**2
    # four and three standard errors of the two kurtoses
    return abs(kurtosis - 1.8) < 4 * math.sqrt(0.5 / n) * 1.8 or abs(kurtosis - 3.0) < 3 * math.sqrt(24 / n)


def _switch(journal: Journal) -> Place | None:
    """Return the user's line that switches gradients off, if there is one in the loop's file."""
    place = journal.places.get("backward")
    if place is None or not Path(place.file).exists():
        return None
    lines = called(place.file, lambda name: name == "requires_grad_")
    return lines[0] if lines else None
