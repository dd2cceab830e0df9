"""The inputs of the loss function."""

from __future__ import annotations

import math
from collections.abc import Iterator

from retrograd.base.finding import Evidence, Finding
from retrograd.interop.torch.fault import LoopFault, loop_faults
from retrograd.interop.torch.journal import Journal, LossCall

ALWAYS = 0.8  # share of the inspections
HALF = {"float16", "bfloat16"}
REAL = {"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"}


def _calls(journal: Journal, kind: str, fact: str) -> list[LossCall]:
    """Return the calls of a loss for which a fact holds, if it holds for (nearly) all calls."""
    calls = [call for call in journal.loss_calls if call.kind == kind]
    matching = [call for call in calls if fact in call.facts]
    return matching if matching and len(matching) >= ALWAYS * len(calls) and len(calls) >= 2 else []


@loop_faults.register("softmax_twice")
class SoftmaxTwice(LoopFault):
    """The loss applies softmax (or sigmoid) itself, but its inputs have already been through it."""

    code = "U07"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield losses that expect logits but get probabilities."""
        calls = _calls(journal, "cross_entropy", "probabilities")
        if calls:
            k = calls[-1].prediction[1]
            yield self.finding(
                calls[-1].place,
                "cross_entropy expects logits and applies softmax itself; its input has already been "
                "through softmax (rows between 0 and 1 that sum to 1): the loss cannot fall below "
                "{floor:.3f}",
                Evidence("smallest possible loss", _floor(k)),
                Evidence("loss at the end", journal.losses.end()),
                values={"floor": _floor(k)},
                remedy="return logits: remove the softmax at the end of the model",
                confidence=0.98,
            )
        calls = _calls(journal, "binary_cross_entropy_with_logits", "unit_interval")
        if len(calls) >= 3 and all("after_sigmoid" in call.facts for call in calls):  # cosines lie there too
            yield self.finding(
                calls[-1].place,
                "binary_cross_entropy_with_logits expects logits and applies sigmoid itself; "
                "its inputs have already been through sigmoid (all lie between 0 and 1)",
                Evidence("smallest input", min(call.lowest for call in calls), 0.0),
                remedy="return logits: remove the sigmoid at the end of the model",
                confidence=0.9,
            )


@loop_faults.register("not_log_probabilities")
class NotLogProbabilities(LoopFault):
    """nll_loss expects log-probabilities; with anything else it has no minimum."""

    code = "S10"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield what the loss gets instead."""
        for kind in ("nll_loss", "kl_div"):
            yield from self._of(journal, kind)

    def _of(self, journal: Journal, kind: str) -> Iterator[Finding]:
        calls = [call for call in journal.loss_calls if call.kind == kind]
        wrong = [call for call in calls if "log_probabilities" not in call.facts]
        if len(calls) < 2 or len(wrong) < ALWAYS * len(calls):
            return
        what = "probabilities" if "probabilities" in wrong[-1].facts else "other numbers"
        yield self.finding(
            wrong[-1].place,
            "{kind} expects log-probabilities, but gets {what}: its value has no meaning and no minimum",
            Evidence("loss at the end", journal.losses.end(), 0.0),
            values={"kind": kind, "what": what},
            remedy=f"use log_softmax before {kind}"
            + (", or cross_entropy on the logits" if kind == "nll_loss" else ""),
            confidence=0.98,
        )


@loop_faults.register("softmax_over_rows")
class SoftmaxOverRows(LoopFault):
    """Softmax over the rows of the batch instead of the classes: columns sum to 1, rows do not."""

    code = "S11"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield losses whose inputs are normalised along the wrong axis."""
        for kind in ("cross_entropy", "nll_loss", "binary_cross_entropy", "mse_loss"):
            calls = _calls(journal, kind, "columns_sum_to_one")
            if calls:
                yield self.finding(
                    calls[-1].place,
                    "every column of the predictions sums to 1 over the rows of the batch, instead of every row over "
                    "the classes: softmax is applied along the wrong axis",
                    remedy="use softmax(dim=1), or cross_entropy on the logits",
                    confidence=0.99,
                )


@loop_faults.register("broadcast")
class Broadcast(LoopFault):
    """Predictions (n, 1) and targets (n) are broadcast: every prediction is compared with every target."""

    code = "U10"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield the two shapes."""
        if len(journal.broadcasts) < 2:
            return
        place, prediction, result = journal.broadcasts[-1]
        yield self.finding(
            place,
            "predictions {prediction} and targets are broadcast to {result}: every prediction is "
            "compared with every target, and the best answer is the overall mean",
            Evidence("numbers compared", result[0] * result[1], prediction[0]),
            values={"prediction": prediction, "result": result},
            remedy="give both the same shape: pred.squeeze(1), or target.unsqueeze(1)",
            confidence=0.99,
        )


@loop_faults.register("wrong_dtype")
class WrongDtype(LoopFault):
    """A loss in half precision, or real targets stored as integers."""

    code = "U19"

    def find(self, journal: Journal) -> Iterator[Finding]:
        """Yield dtypes that lose precision, and those that the loss refused."""
        call = journal.failed_call
        if call is not None and any(word in journal.failure for word in ("dtype", "Long", "Float", "Half", "Double")):
            yield self._refused(call, journal.failure)
        if not journal.loss_calls:
            return
        call = journal.loss_calls[-1]
        stored = {str(p.dtype).removeprefix("torch.") for p in journal.model.parameters()}
        if call.dtype in HALF and stored & HALF:
            yield self.finding(
                call.place,
                "parameters and loss are {dtype}: updates smaller than its spacing are lost",
                Evidence("decimal digits", 3.3 if call.dtype == "float16" else 2.4, 7.2),
                values={"dtype": call.dtype},
                remedy="keep the parameters in float32, compute under torch.autocast, and use outputs.float() in the "
                "loss",
                confidence=0.85,
            )
        if call.kind in REAL and call.target_dtype.startswith(("int", "uint")):
            yield self.finding(
                call.place,
                "{loss} gets targets of dtype {target_dtype}: their fractional parts are lost",
                values={"loss": call.kind, "target_dtype": call.target_dtype},
                remedy="keep the targets in float32",
                severity="risk",
                confidence=0.6,
            )

    def _refused(self, call: LossCall, failure: str) -> Finding:
        return self.finding(
            call.place,
            "{loss} rejects predictions {dtype} {prediction} with targets {target_dtype} {target}: {error}",
            values={
                "loss": call.kind,
                "dtype": call.dtype,
                "prediction": call.prediction,
                "target_dtype": call.target_dtype,
                "target": call.target,
                "error": failure.splitlines()[0][:100],
            },
            remedy="use torch.long of shape (n,) for class numbers; float32 in the shape of the predictions for other "
            "targets",
            confidence=0.97,
        )


def _floor(k: int) -> float:
    """Return the smallest cross-entropy of probabilities read as logits: ln(e + k - 1) - 1."""
    return math.log(math.e + k - 1) - 1
