"""An explanation as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from retrograd.explanation.facts import RunFacts
from retrograd.explanation.risks import Risk
from retrograd.present.numbers import count, duration, size
from retrograd.present.text import wrapped


def as_text(made: RunFacts) -> str:
    """Return all parts, one below the other."""
    parts = (heading(made), risks(made), network(made), settings(made), totals(made))
    return "\n".join(line for part in parts for line in part)


def heading(made: RunFacts) -> Iterator[str]:
    """Yield what is to be learnt from what."""
    rows = ", ".join(f"{count:,} {part}" for part, count in made.rows.items())
    yield from wrapped(f"{made.name}: {made.task}; rows: {rows}")
    for note in made.notes:
        yield from wrapped(note, "  ")
    yield ""


def risks(made: RunFacts) -> Iterator[str]:
    """Yield what looks risky, before a step has run: in full only what stands beside no line below."""
    if not made.risks:
        return
    yield "LOOKS RISKY  (told beside each line; a note is harmless as long as it learns)"
    for place, found in made.risks_by_place().items():
        yield from wrapped(f"{mark(found)}{place}: {', '.join(risk.finding.name for risk in found)}", "  ")
    yield from told(made.at())
    yield ""


def mark(found: Iterable[Risk]) -> str:
    """Return what stands before a line with findings that are more than notes."""
    return "! " if any(not risk.is_note for risk in found) else ""


def told(found: Iterable[Risk], indent: str = "  ") -> Iterator[str]:
    """Yield findings in full."""
    for risk in found:
        for i, words in enumerate(risk.words()):
            yield from wrapped(f"{risk.finding.severity if i == 0 else '':<11}{words}", indent, len(indent) + 11)


def network(made: RunFacts) -> Iterator[str]:
    """Yield a paragraph for each node, and for each loss; equations once for each kind."""
    seen: set[str] = set()
    yield "NETWORK  (work in multiply-adds an example, memory for one batch)"
    for node in made.nodes:
        found = made.at(node=node.path)
        settings = f", {node.settings}" if node.settings else ""
        kept = ", ".join(sorted(node.frozen_parameters))
        frozen = ", frozen" if node.frozen else f", {kept} frozen" if kept else ""
        yield ""
        yield from wrapped(f"{mark(found)}{node.path}: {node.kind}{settings}{frozen}; reads {', '.join(node.inputs)}")
        yield from told(found)
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
    """Yield label and text of what there is to say of one node."""
    yield "output", node.shape
    if node.parameters:
        yield "parameters", node.arithmetic
    for shared in node.shared:
        yield "shares", shared
    yield "work", f"{count(node.forward_work)} forward, {count(node.backward_work)} backward"
    held = [("parameters", node.parameter_bytes), ("tape", node.tape_bytes), ("optimizer", node.optimizer_bytes)]
    yield "memory", ", ".join(f"{label} {size(number)}" for label, number in held if number) or "none"
    if node.receptive_field:
        yield "sees", f"{node.receptive_field} of the input"
    if node.measured_scale is not None:
        told = "no rule predicts it" if node.predicted_scale is None else f"predicted {node.predicted_scale:.3g}"
        yield "scale", f"{told}, measured {node.measured_scale:.3g} (root mean square at the start)"


def equations(facts: Any) -> Iterator[str]:
    """Yield the equations of a node or loss."""
    if facts.forward:
        yield from wrapped(f"{'forward':<11}{facts.forward}", "  ", 13)
    for i, line in enumerate(facts.backward):
        yield from wrapped(f"{'backward' if i == 0 else '':<11}{line}", "  ", 13)
    if getattr(facts, "derivation", "written") != "written":
        yield from wrapped(f"{'backward':<11}derived by {facts.derivation}", "  ", 13)


def settings(made: RunFacts) -> Iterator[str]:
    """Yield every setting; its words stand where it appears first."""
    seen: set[str] = set()
    yield "SETTINGS"
    for fact in made.settings:
        found = made.at(setting=fact.path)
        yield from wrapped(f"{mark(found)}{fact.path} = {fact.value}   ({fact.origin})")
        yield from told(found, "    ")
        if fact.home in seen:
            continue
        seen.add(fact.home)
        for line in setting_lines(fact):
            yield from wrapped(line, "    ")
    yield ""


def setting_lines(fact: Any) -> Iterator[str]:
    """Yield a setting in words."""
    if fact.what:
        yield fact.what
    if fact.why:
        yield f"{'why' if fact.origin == 'chosen' else fact.origin}: {fact.why}"
    sides = [f"{side}: {text}" for side, text in (("larger", fact.more), ("smaller", fact.less)) if text]
    if sides:
        yield ". ".join(sides)


def totals(made: RunFacts) -> Iterator[str]:
    """Yield the sums."""
    t = made.totals
    frozen = f", {t.parameters - t.trained:,} of them frozen" if t.trained < t.parameters else ""
    yield "TOTALS"
    rows = [("parameters", f"{t.parameters:,}{frozen}")]
    work = f"{count(t.forward_work)} forward, {count(t.backward_work)} backward, an example"
    rows += [("work", f"{work} (multiply-adds)")]
    rows += [("memory", memory_words(t)), ("step", f"{t.batch_size:,} rows, {t.steps_per_epoch:,} steps an epoch")]
    if t.seconds_per_step is not None and t.seconds_per_epoch is not None:
        many = f", {t.together} in one dispatch" if t.together > 1 else ""
        epochs = f"{t.epochs:,} epochs {duration(t.epochs * t.seconds_per_epoch)} at most"
        rows += [("time", f"{duration(t.seconds_per_step)} a step{many} (measured), {duration(t.seconds_per_epoch)} "
                          f"an epoch, {epochs}; measuring the parts comes on top")]  # fmt: skip
    for label, text in rows:
        yield from wrapped(f"{label:<11}{text}", "  ", 13)


def memory_words(t: Any) -> str:
    """Return what a step holds beside what there is."""
    working = f"working memory {size(t.temporary_bytes)}" if t.temporary_bytes is not None else (
        f"tapes {size(t.tape_bytes)}, outputs and deltas {size(2 * t.output_bytes)}"
    )  # fmt: skip
    held = f"parameters and gradients {size(t.parameter_bytes + t.gradient_bytes)}, optimizer {size(t.optimizer_bytes)}"
    there = "" if t.available_bytes is None else f"; {size(t.available_bytes)} are available"
    return f"{size(t.step_bytes)} for a step: {held}, {working}{there}"
