"""Chains of factors: the gradient of one weight traced from the loss back to it, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retrograd.present.exact import Figures
from retrograd.tracing.document import Writer
from retrograd.tracing.lines import Line, Term, delta_key, entry, indices, place
from retrograd.tracing.numbers import NodeNumbers, ParameterNumbers, StepNumbers
from retrograd.tracing.rules import gradient_lines
from retrograd.tracing.update_lines import update_lines

MOST_WEIGHTS = 300  # numbers of all parameters together, up to which chains are written out


def chain_lines(step: StepNumbers, writer: Writer) -> dict[str, Line]:
    """Return the written-out deltas and gradients by key, each with the deltas that it depends on."""
    lines_by_key: dict[str, Line] = {}
    for node in step.nodes:
        if node.delta is None:
            continue
        several = len(node.contributions) > 1
        for contribution in node.contributions:
            for line in writer.origin(contribution)[0]:
                key = f"{line.key}@{contribution.source}" if several else line.key
                lines_by_key[key] = Line(key, f"δ {line.name}", line.text, line.value, line.terms)
        if several:
            lines_by_key |= {line.key: line for line in _sums(node, lines_by_key, writer.f)}
        for lines in gradient_lines(node.layer, node, writer.f).values():
            lines_by_key |= {line.key: line for line in lines}
    return lines_by_key


def _sums(node: NodeNumbers, known: Mapping[str, Line], f: Figures) -> list[Line]:
    """Return the deltas of a node with several readers as sums of their contributions."""
    lines = []
    for index in indices(node.delta):
        key = delta_key(node.path, index)
        keys = [f"{key}@{contribution.source}" for contribution in node.contributions]
        if all(part in known for part in keys):
            text = f.sum([(known[part].value,) for part in keys])
            name = f"δ {place(node.path, index, node.delta.shape)}"
            lines.append(Line(key, name, text, float(node.delta[index]), tuple(Term((), part) for part in keys)))
    return lines


def weight_facts(step: StepNumbers, f: Figures) -> dict[str, dict[str, Any]]:
    """Return the value, gradient and update of every number of every parameter; empty for a large network."""
    if sum(parameter.before.size for parameter in step.parameters) > MOST_WEIGHTS:
        return {}
    return {
        entry(parameter.path, index): _facts(step, parameter, index, f)
        for parameter in step.parameters
        for index in indices(parameter.before)
    }


def _facts(step: StepNumbers, parameter: ParameterNumbers, index: tuple[int, ...], f: Figures) -> dict[str, Any]:
    uses = list(parameter.uses)
    name = parameter.path.rpartition("/")[2]
    return {
        "before": f.number(parameter.before[index]),
        "gradient": f.number(parameter.gradient[index]),
        "after": f.number(parameter.after[index]),
        "sign": float(parameter.before[index]),
        "chains": [f"grad:{entry(f'{use}/{name}', index)}" for use in uses],
        "update": [[line.name, line.text, f.number(line.value)] for line in update_lines(step, parameter, index, f)],
    }


def plain(line: Line, f: Figures) -> dict[str, Any]:
    """Return a line as plain values for JSON."""
    return {
        "name": line.name,
        "text": line.text,
        "value": f.number(line.value),
        "terms": [
            {"factors": [[name, f.factor(value)] for name, value in term.factors], "reads": term.reads}
            for term in line.terms
        ],
    }
