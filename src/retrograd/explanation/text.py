"""An explanation as text with 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from retrograd.explanation.facts import RunFacts
from retrograd.explanation.risks import Risk
from retrograd.explanation.settings import reason
from retrograd.explanation.sharing import Sharing
from retrograd.explanation.totals import Totals
from retrograd.present.numbers import count, duration, number, size
from retrograd.present.text import wrapped


def as_text(run: RunFacts, every: bool = False) -> str:
    """Return an explanation as text, with `every` setting or only those that matter."""
    parts = (heading(run), risks(run), network(run), settings(run, every), totals(run))
    return "\n".join(line for part in parts for line in part)


def heading(run: RunFacts) -> Iterator[str]:
    """Yield the task, the data and the columns."""
    rows = ", ".join(f"{count:,} {part}" for part, count in run.rows.items())
    yield from wrapped(f"{run.name}: {run.task}; rows: {rows}")
    for note in run.notes:
        yield from wrapped(note, "  ")
    yield ""


def risks(run: RunFacts) -> Iterator[str]:
    """Yield the risks; those without a line below are shown in full."""
    places, elsewhere = run.risks_by_place(), run.at()
    if places:
        yield "LOOKS RISKY  (the reasons are given below)"
    for place, risky in places.items():
        yield from wrapped(f"! {place}: {', '.join(risk.finding.name for risk in risky)}", "  ")
    yield from in_full(elsewhere)
    if places or elsewhere:
        yield ""


def mark(risky: Iterable[Risk]) -> str:
    """Return the mark for a line with findings more severe than notes."""
    return "! " if any(not risk.is_note for risk in risky) else ""


def in_full(risky: Iterable[Risk], indent: str = "  ") -> Iterator[str]:
    """Yield findings in full."""
    for risk in risky:
        for i, text in enumerate(risk.words()):
            yield from wrapped(f"{risk.finding.severity if i == 0 else '':<11}{text}", indent, len(indent) + 11)


def network(run: RunFacts) -> Iterator[str]:
    """Yield a paragraph for each node and loss; equations appear once per kind."""
    seen: set[str] = set()
    yield "NETWORK  (work in multiply-adds per example, memory per batch)"
    for node in run.nodes:
        risky = run.at(node=node.path)
        settings = f", {node.settings}" if node.settings else ""
        frozen_names = ", ".join(sorted(node.frozen_parameters))
        frozen = ", frozen" if node.frozen else f", {frozen_names} frozen" if frozen_names else ""
        yield ""
        yield from wrapped(f"{mark(risky)}{node.path}: {node.kind}{settings}{frozen}; reads {', '.join(node.inputs)}")
        yield from in_full(risky)
        for label, text in node_rows(node):
            yield from wrapped(f"{label:<11}{text}", "  ", 13)
        if node.kind not in seen:
            seen.add(node.kind)
            yield from equations(node)
    for loss in run.losses:
        yield ""
        yield from wrapped(f"{loss.name}: {loss.kind} of {against(loss.inputs)}, weight {number(loss.weight, 6)}")
        yield from equations(loss)
    yield ""
    yield from wrapped(f"update     {run.update}", "", 11)
    yield ""


def against(inputs: Sequence[str]) -> str:
    """Return the inputs of a loss: `dense_2 against y`."""
    first, *others = inputs
    return f"{first} against {', '.join(others)}" if others else first


def node_rows(node: Any) -> Iterator[tuple[str, str]]:
    """Yield pairs of label and text about one node."""
    yield "output", node.shape
    if node.parameters:
        yield "parameters", node.arithmetic
    for shared in node.shared:
        yield "shares", shared
    yield "work", f"{count(node.forward_work)} forward, {count(node.backward_work)} backward"
    memory = [("parameters", node.parameter_bytes), ("tape", node.tape_bytes), ("optimizer", node.optimizer_bytes)]
    yield "memory", ", ".join(f"{label} {size(number)}" for label, number in memory if number) or "none"
    if node.receptive_field:
        yield "sees", f"{node.receptive_field} of the input"
    if node.measured_scale is not None:
        prediction = "no prediction" if node.predicted_scale is None else f"predicted {number(node.predicted_scale, 3)}"
        yield "scale", f"{prediction}, measured {number(node.measured_scale, 3)} (root mean square at the start)"


def equations(facts: Any) -> Iterator[str]:
    """Yield the equations of a node or loss."""
    if facts.forward:
        yield from wrapped(f"{'forward':<11}{facts.forward}", "  ", 13)
    for i, line in enumerate(facts.backward):
        yield from wrapped(f"{'backward' if i == 0 else '':<11}{line}", "  ", 13)
    if getattr(facts, "derivation", "written") != "written":
        yield from wrapped(f"{'backward':<11}derived by {facts.derivation}", "  ", 13)


def settings(run: RunFacts, every: bool) -> Iterator[str]:
    """Yield the settings; the explanation of a setting follows its first appearance."""
    seen: set[str] = set()
    shown = [fact for fact in run.settings if every or run.matters(fact)]
    yield "SETTINGS"
    for fact in shown:
        risky = run.at(setting=fact.path)
        yield from wrapped(f"{mark(risky)}{fact.path} = {fact.value}   ({fact.origin})")
        yield from in_full(risky, "    ")
        if fact.home in seen:
            continue
        seen.add(fact.home)
        for line in setting_lines(fact):
            yield from wrapped(line, "    ")
    if len(shown) < len(run.settings):
        left = len(run.settings) - len(shown)
        words = "1 more setting is at its default" if left == 1 else f"{left:,} more settings are at their defaults"
        yield f"{words}; --all shows them"
    yield ""


def setting_lines(fact: Any) -> Iterator[str]:
    """Yield the explanation of a setting."""
    if fact.what:
        yield fact.what
    if fact.why:
        yield f"why: {fact.why}" if fact.origin == "chosen" else reason(fact.origin, fact.why)
    sides = [f"{side}: {text}" for side, text in (("larger", fact.more), ("smaller", fact.less)) if text]
    if sides:
        yield ". ".join(sides)


def totals(run: RunFacts) -> Iterator[str]:
    """Yield the totals of the run."""
    t = run.totals
    frozen = f", {t.parameters - t.trained:,} of them frozen" if t.trained < t.parameters else ""
    yield "TOTALS"
    rows = [("parameters", f"{t.parameters:,}{frozen}")]
    work = f"{count(t.forward_work)} forward, {count(t.backward_work)} backward, per example"
    rows += [("work", f"{work} (multiply-adds)")]
    rows += [("memory", memory_words(t)), ("step", step_words(t))]
    if t.seconds_per_step is not None:
        rows += [("time", f"{time_words(t)} (measured)")]
    rows += [(f"{s.devices} devices", sharing_words(s)) for s in run.sharing]
    for label, text in rows:
        yield from wrapped(f"{label:<11}{text}", "  ", 13)


def step_words(t: Totals) -> str:
    """Return the rows of a step, and the steps of an epoch."""
    rows, steps = ("s" * (counted != 1) for counted in (t.batch_size, t.steps_per_epoch))
    return f"{t.batch_size:,} row{rows}, {t.steps_per_epoch:,} step{steps} per epoch"


def sharing_words(s: Sharing) -> str:
    """Return what each of several devices stores and transfers."""
    sharded = f"; {s.cut / s.parameters:.0%} of the parameters are sharded" if s.cut else ""
    state = f"parameters {size(s.parameter_bytes)}, optimizer {size(s.optimizer_bytes)} each"
    return f"{state}, {size(s.wire_bytes)} of traffic per step{sharded}"


def time_words(t: Totals) -> str:
    """Return the time per step, per epoch and for the run."""
    step, epoch = t.seconds_per_step or 0.0, t.seconds_per_epoch or 0.0
    dispatch = f", {t.together} per dispatch" if t.together > 1 else ""
    run = f"{t.epochs:,} epochs take at most {duration(t.epochs * epoch)}, without validation"
    return f"{duration(step)} per step{dispatch}, {duration(epoch)} per epoch, {run}"


def memory_words(t: Totals) -> str:
    """Return the memory of a step, and the memory available."""
    working = f"working memory {size(t.temporary_bytes)}" if t.temporary_bytes is not None else (
        f"tapes {size(t.tape_bytes)}, outputs and deltas {size(2 * t.output_bytes)}"
    )  # fmt: skip
    arrays = (
        f"parameters and gradients {size(t.parameter_bytes + t.gradient_bytes)}, optimizer {size(t.optimizer_bytes)}"
    )
    available = "" if t.available_bytes is None else f"; {size(t.available_bytes)} are available"
    return f"{size(t.step_bytes)} per step: {arrays}, {working}{available}"
