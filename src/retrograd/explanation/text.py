"""An explanation as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from retrograd.explanation.facts import RunFacts
from retrograd.explanation.risks import Risk
from retrograd.explanation.settings import reason
from retrograd.explanation.sharing import Sharing
from retrograd.explanation.totals import Totals
from retrograd.present.numbers import count, duration, size
from retrograd.present.text import wrapped


def as_text(made: RunFacts, every: bool = False) -> str:
    """Return all parts, one below the other, with `every` setting or only those that matter."""
    parts = (heading(made), risks(made), network(made), settings(made, every), totals(made))
    return "\n".join(line for part in parts for line in part)


def heading(made: RunFacts) -> Iterator[str]:
    """Yield the task, the data and the columns."""
    rows = ", ".join(f"{count:,} {part}" for part, count in made.rows.items())
    yield from wrapped(f"{made.name}: {made.task}; rows: {rows}")
    for note in made.notes:
        yield from wrapped(note, "  ")
    yield ""


def risks(made: RunFacts) -> Iterator[str]:
    """Yield the risks; those that concern no line below are shown in full."""
    places, elsewhere = made.risks_by_place(), made.at()
    if places:
        yield "LOOKS RISKY  (the reason is beside each line)"
    for place, risky in places.items():
        yield from wrapped(f"! {place}: {', '.join(risk.finding.name for risk in risky)}", "  ")
    yield from told(elsewhere)
    if places or elsewhere:
        yield ""


def mark(risky: Iterable[Risk]) -> str:
    """Return the mark before a line with findings graver than notes."""
    return "! " if any(not risk.is_note for risk in risky) else ""


def told(risky: Iterable[Risk], indent: str = "  ") -> Iterator[str]:
    """Yield findings in full."""
    for risk in risky:
        for i, words in enumerate(risk.words()):
            yield from wrapped(f"{risk.finding.severity if i == 0 else '':<11}{words}", indent, len(indent) + 11)


def network(made: RunFacts) -> Iterator[str]:
    """Yield a paragraph for each node and each loss; equations appear once for each kind."""
    seen: set[str] = set()
    yield "NETWORK  (work in multiply-adds per example, memory per batch)"
    for node in made.nodes:
        risky = made.at(node=node.path)
        settings = f", {node.settings}" if node.settings else ""
        frozen_names = ", ".join(sorted(node.frozen_parameters))
        frozen = ", frozen" if node.frozen else f", {frozen_names} frozen" if frozen_names else ""
        yield ""
        yield from wrapped(f"{mark(risky)}{node.path}: {node.kind}{settings}{frozen}; reads {', '.join(node.inputs)}")
        yield from told(risky)
        for label, text in node_rows(node):
            yield from wrapped(f"{label:<11}{text}", "  ", 13)
        if node.kind not in seen:
            seen.add(node.kind)
            yield from equations(node)
    for loss in made.losses:
        yield ""
        yield from wrapped(f"{loss.name}: {loss.kind} of {', '.join(loss.inputs)}, weight {loss.weight:g}")
        yield from equations(loss)
    yield ""
    yield from wrapped(f"update     {made.update}", "", 11)
    yield ""


def node_rows(node: Any) -> Iterator[tuple[str, str]]:
    """Yield the labels and texts about one node."""
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
        prediction = "no rule predicts it" if node.predicted_scale is None else f"predicted {node.predicted_scale:.3g}"
        yield "scale", f"{prediction}, measured {node.measured_scale:.3g} (root mean square at the start)"


def equations(facts: Any) -> Iterator[str]:
    """Yield the equations of a node or loss."""
    if facts.forward:
        yield from wrapped(f"{'forward':<11}{facts.forward}", "  ", 13)
    for i, line in enumerate(facts.backward):
        yield from wrapped(f"{'backward' if i == 0 else '':<11}{line}", "  ", 13)
    if getattr(facts, "derivation", "written") != "written":
        yield from wrapped(f"{'backward':<11}derived by {facts.derivation}", "  ", 13)


def settings(made: RunFacts, every: bool) -> Iterator[str]:
    """Yield the settings; the words for a setting follow its first appearance."""
    seen: set[str] = set()
    shown = [fact for fact in made.settings if every or made.matters(fact)]
    yield "SETTINGS"
    for fact in shown:
        risky = made.at(setting=fact.path)
        yield from wrapped(f"{mark(risky)}{fact.path} = {fact.value}   ({fact.origin})")
        yield from told(risky, "    ")
        if fact.home in seen:
            continue
        seen.add(fact.home)
        for line in setting_lines(fact):
            yield from wrapped(line, "    ")
    if len(shown) < len(made.settings):
        yield f"{len(made.settings) - len(shown)} more settings have their defaults; --all shows them"
    yield ""


def setting_lines(fact: Any) -> Iterator[str]:
    """Yield a setting in words."""
    if fact.what:
        yield fact.what
    if fact.why:
        yield f"why: {fact.why}" if fact.origin == "chosen" else reason(fact.origin, fact.why)
    sides = [f"{side}: {text}" for side, text in (("larger", fact.more), ("smaller", fact.less)) if text]
    if sides:
        yield ". ".join(sides)


def totals(made: RunFacts) -> Iterator[str]:
    """Yield the totals."""
    t = made.totals
    frozen = f", {t.parameters - t.trained:,} of them frozen" if t.trained < t.parameters else ""
    yield "TOTALS"
    rows = [("parameters", f"{t.parameters:,}{frozen}")]
    work = f"{count(t.forward_work)} forward, {count(t.backward_work)} backward, per example"
    rows += [("work", f"{work} (multiply-adds)")]
    rows += [("memory", memory_words(t)), ("step", f"{t.batch_size:,} rows, {t.steps_per_epoch:,} steps per epoch")]
    if t.seconds_per_step is not None:
        rows += [("time", f"{time_words(t)} (measured)")]
    rows += [(f"{s.devices} devices", sharing_words(s)) for s in made.sharing]
    for label, text in rows:
        yield from wrapped(f"{label:<11}{text}", "  ", 13)


def sharing_words(s: Sharing) -> str:
    """Return what each of several devices holds, and what travels."""
    cut = f"; {s.cut / s.parameters:.0%} of the parameters are cut" if s.cut else ""
    state = f"parameters {size(s.parameter_bytes)}, optimizer {size(s.optimizer_bytes)} each"
    return f"{state}, {size(s.wire_bytes)} on the wire a step{cut}"


def time_words(t: Totals) -> str:
    """Return the time of a step, an epoch and the run."""
    step, epoch = t.seconds_per_step or 0.0, t.seconds_per_epoch or 0.0
    many = f", {t.together} in one dispatch" if t.together > 1 else ""
    run = f"{t.epochs:,} epochs take at most {duration(t.epochs * epoch)}, without validation"
    return f"{duration(step)} per step{many}, {duration(epoch)} per epoch, {run}"


def memory_words(t: Totals) -> str:
    """Return the memory of a step and the memory available."""
    working = f"working memory {size(t.temporary_bytes)}" if t.temporary_bytes is not None else (
        f"tapes {size(t.tape_bytes)}, outputs and deltas {size(2 * t.output_bytes)}"
    )  # fmt: skip
    arrays = (
        f"parameters and gradients {size(t.parameter_bytes + t.gradient_bytes)}, optimizer {size(t.optimizer_bytes)}"
    )
    there = "" if t.available_bytes is None else f"; {size(t.available_bytes)} are available"
    return f"{size(t.step_bytes)} for a step: {arrays}, {working}{there}"
