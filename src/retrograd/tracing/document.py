"""A traced step as a document: sections in the order of the step, with lines, tables and arrays to render."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from retrograd.network.network import TRANSPOSED
from retrograd.present.exact import Figures
from retrograd.tracing.lines import MOST_LINES, Line, Summary, delta_key, entry, indices, place, summary
from retrograd.tracing.look import GIVEN
from retrograd.tracing.loss_lines import loss_lines, start_lines
from retrograd.tracing.numbers import Contribution, NodeNumbers, ParameterNumbers, StepNumbers, parts
from retrograd.tracing.rules import backward_lines, forward_lines, gradient_lines
from retrograd.tracing.state import state_table
from retrograd.tracing.update_lines import columns_of, rows_of, update_lines
from retrograd.update.optimizers import SGD

FULL = 64  # numbers of an array shown in full
WIDE = 10  # columns of an array shown in full
OPENED = 100_000  # numbers of an array shown in full with `node`


@dataclass(frozen=True)
class Words:
    """A sentence."""

    text: str


@dataclass(frozen=True)
class Sums:
    """Numbers written out, with a prefix for each name (δ, dL/d)."""

    lines: tuple[Line, ...]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells below a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""


@dataclass(frozen=True)
class Section:
    """One stop on the way through a step; `node` is the path of its subject."""

    phase: str
    title: str
    about: str = ""
    formula: str = ""
    node: str = ""
    blocks: tuple[Any, ...] = ()
    latex: str = ""  # of the formula


class Writer:
    """Writes a step as sections; `node` shows one node in full and omits the others."""

    def __init__(self, step: StepNumbers, f: Figures, node: str | None = None) -> None:
        self.step, self.f, self.node = step, f, node

    def sections(self) -> Iterator[Section]:
        """Yield the step's sections in order."""
        if self.node is None:
            yield Section("input", "inputs", blocks=tuple(
                block for name, column in self.step.columns.items() for block in self.array(name, column)))  # fmt: skip
        for node in self.chosen():
            yield self.forward(node)
        if self.node is None:
            yield from map(self.loss, self.step.objectives)
            if self.step.penalties:
                yield self.penalties()
        for node in reversed(self.chosen()):
            yield self.backward(node)
        yield self.rule()
        for parameter in self.step.parameters:
            if self.node is None or parameter.path.rpartition("/")[0] in {n.path for n in self.chosen()}:
                yield self.update(parameter)
        if self.node is None:
            yield self.after()

    def chosen(self) -> list[NodeNumbers]:
        """Return the nodes to show."""
        return [node for node in self.step.nodes if self.node in (None, node.path)]

    # ------------------------------------------------------------------------------------------------------- forward

    def forward(self, node: NodeNumbers) -> Section:
        """Return a node's section of the forward pass."""
        equations = node.equations
        about = f"{described(node)}, reads {', '.join(node.node.inputs)}"
        about += "".join(f"; {name} shared from {path}" for name, path in node.node.share)
        lines = forward_lines(node.layer, node, self.f)
        blocks: list[Any] = [Sums(tuple(lines))] if lines else []
        if (table := state_table(node, self.f)) is not None:
            blocks += [Words(table[2]), Table(table[0], tuple(table[1]))]
        if not lines or self.node:
            blocks += [b for name, array in parts(node.path, node.output) for b in self.array(f"output {name}", array)]
        if self.node:
            blocks += [b for name, array in node.params.items() for b in self.array(name, array)]
        return Section("forward", node.path, about, equations.forward if equations else "", node.path, tuple(blocks),
                       equations.latex_forward if equations else "")  # fmt: skip

    # --------------------------------------------------------------------------------------------------------- loss

    def loss(self, objective: Any) -> Section:
        """Return a loss and its substitution."""
        loss, f = objective.loss, self.f
        about = f"{loss.kind} of {objective.references[0]} against {', '.join(objective.references[1:])}"
        about += (
            f"; {loss.reduction}, scale {f.number(loss.scale)}" if loss.scale != 1 or loss.reduction != "mean" else ""
        )
        about += f"; weight {f.number(objective.weight)} in the total" if objective.weight != 1 else ""
        is_distribution = np.ndim(objective.inputs[1]) == np.ndim(objective.inputs[0])
        formula = loss.formulas().forward.replace("onehot(t)", "t" if is_distribution else "onehot(t)")
        lines = loss_lines(objective, f) or [Line("loss", "L", f.number(objective.value), objective.value)]
        return Section("loss", objective.name, about, formula, "", (Sums(tuple(lines)),), loss.formulas().latex_forward)

    def penalties(self) -> Section:
        """Return the section about the penalties."""
        f, step = self.f, self.step
        kinds = ", ".join(f"{penalty.registered_name} {f.number(penalty.strength)}" for penalty in step.penalties)  # type: ignore[attr-defined]
        rest = step.loss - step.penalty
        line = Line("total", "total", f.sum([(rest,), (step.penalty,)]), step.loss)
        formula = "; ".join(penalty.formula for penalty in step.penalties)
        return Section("loss", "penalties", kinds, formula, "", (Sums((line,)),))

    # ----------------------------------------------------------------------------------------------------- backward

    def backward(self, node: NodeNumbers) -> Section:
        """Return a node's delta, its sources, and the gradients of its parameters."""
        equations = node.equations
        if node.delta is None:
            return Section("backward", node.path, described(node), "", node.path, (Words("no loss reaches it"),))
        blocks = [block for contribution in node.contributions for block in self.contribution(contribution)]
        if len(node.contributions) > 1:
            blocks += self.total(node)
        if equations and node.grads and len(equations.backward) > 1:
            blocks.append(Words("gradients: " + "; ".join(equations.backward[1:])))
        lines = gradient_lines(node.layer, node, self.f)
        for name, grad in node.grads.items():
            owner = dict(node.node.share).get(name, "")
            if name in lines:
                blocks.append(Sums(tuple(lines[name]), "dL/d "))
            else:
                blocks += self.array(f"dL/d {name}", grad)
            if owner:
                blocks.append(Words(f"added to the gradient of {owner.removesuffix(TRANSPOSED)}"))
        if self.node:
            blocks += [b for name, delta in parts(f"δ {node.path}", node.delta) for b in self.array(name, delta)]
        return Section("backward", node.path, described(node), "", node.path, tuple(blocks))

    def contribution(self, part: Contribution) -> list[Any]:
        """Return one reader's contribution to a delta, with the reader's formula."""
        lines, words = self.origin(part)
        if lines and not (self.node and len(lines) > MOST_LINES):
            return [Words(words), Sums(tuple(lines), "δ ")]
        return [Words(words), *self.array(f"δ {part.reference}", part.values)]

    def origin(self, part: Contribution) -> tuple[list[Line], str]:
        """Return the lines of a contribution, and a sentence about its source."""
        if part.source == GIVEN:
            return _plain(part, self.f), "from outside: the given delta"
        objective = next((candidate for candidate in self.step.objectives if candidate.name == part.source), None)
        if objective is not None:
            words = f"from {objective.name} ({objective.loss.kind}): {objective.loss.formulas().backward[0]}"
            return start_lines(objective, self.f) or [], words
        reader = next(node for node in self.step.nodes if node.path == part.source)
        equations = reader.equations
        formula = f": {equations.backward[0]}" if equations else ""
        which = reader.node.inputs.index(part.reference) if part.reference in reader.node.inputs else 0
        lines = backward_lines(reader.layer, reader, self.f)
        return (lines[which] if lines else []), f"from {reader.path} ({described(reader)}){formula}"

    def total(self, node: NodeNumbers) -> list[Any]:
        """Return the sum of several readers' contributions."""
        if not isinstance(node.delta, np.ndarray):
            return []
        alike = [part.values for part in node.contributions]
        if node.delta.size > MOST_LINES or any(values.shape != node.delta.shape for values in alike):
            return [Words("their sum"), *self.array(f"δ {node.path}", node.delta)]
        lines = [
            Line(
                "",
                place(node.path, index, node.delta.shape),
                self.f.sum([(values[index],) for values in alike]),
                float(node.delta[index]),
            )
            for index in indices(node.delta)
        ]
        return [Words("their sum"), Sums(tuple(lines), "δ ")]

    # ------------------------------------------------------------------------------------------------------- update

    def update(self, parameter: ParameterNumbers) -> Section:
        """Return a parameter's path from the gradient to its new value."""
        f, step = self.f, self.step
        if parameter.frozen:
            return Section("update", parameter.path, "frozen", "", _node_of(parameter), (Words("not updated"),))
        blocks: list[Any] = []
        if len(parameter.uses) > 1:
            shares = ", ".join(f"{node} {self.brief(grad)}" for node, grad in parameter.uses.items())
            blocks.append(Words(f"the gradient adds up over its uses: {shares}"))
        columns = columns_of(step, parameter)
        if parameter.before.size <= (OPENED if self.node else MOST_LINES):
            places = list(indices(parameter.before))
            calculations = [update_lines(step, parameter, index, f) for index in places[:MOST_LINES]]
            short = all(len(lines) == 1 for lines in calculations) and len(places) <= MOST_LINES
            if short:
                named = [_renamed(lines[0], entry(parameter.path.rpartition("/")[2], index))
                         for lines, index in zip(calculations, places, strict=True)]  # fmt: skip
                blocks.append(Sums(tuple(named)))
            else:
                blocks.append(Table(("", *columns), tuple(map(tuple, rows_of(columns, places, f)))))
                blocks += [Words(f"in full, {entry('', places[0]) or 'the number'}:"), Sums(tuple(calculations[0]))]
        else:
            blocks.append(self.statistics(columns))
        return Section("update", parameter.path, "", "", _node_of(parameter), tuple(blocks))

    def rule(self) -> Section:
        """Return the optimizer's formula."""
        f, step, optimizer = self.f, self.step, self.step.optimizer
        about = f"learning rate {f.number(step.learning_rate)}, update {step.updates_so_far}"
        plain = isinstance(optimizer, SGD) and not optimizer.momentum
        formula = "" if plain else f"{optimizer.equation}; "
        formula += f"new = old - learning_rate {'g' if plain else 'd'}, with g = dL/dold"
        return Section("update", optimizer.registered_name, about, formula)  # type: ignore[attr-defined]

    def after(self) -> Section:
        """Return the section about the loss after the step."""
        f, step = self.f, self.step
        before, after = step.loss, step.loss_after
        words = f"loss {f.number(before)} -> {f.number(after)}, change {f.number(after - before)}"
        return Section("after", "loss after the step", "the same rows, the new weights", blocks=(Words(words),))

    # ------------------------------------------------------------------------------------------------------- arrays

    def array(self, name: str, array: np.ndarray) -> list[Any]:
        """Return an array in full if it is small or opened, else its shape, statistics and corner."""
        array = np.asarray(array)
        shown = array.size <= FULL and (array.ndim == 0 or array.shape[-1] <= WIDE)
        if array.size <= WIDE and array.size == (array.shape[-1] if array.ndim else 1):
            return [Words(f"{name} {shape_of(array)}: {', '.join(map(self.f.number, array.reshape(-1)))}")]
        if shown or (self.node and array.size <= OPENED):
            return [self.full(name, array)]
        short = summary(array)
        return [self.overview(name, short), self.corner(short)]

    def full(self, name: str, array: np.ndarray) -> Table:
        """Return every number of an array."""
        rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, array.shape[-1])
        places = [""] if array.ndim < 2 else [entry("", index) for index in np.ndindex(*array.shape[:-1])]
        cells = tuple((place, *map(self.f.number, row)) for place, row in zip(places, rows, strict=True))
        return Table(("", *map(str, range(rows.shape[1]))), cells, f"{name} {shape_of(array)}")

    def overview(self, name: str, short: Summary) -> Words:
        """Return an array's statistics."""
        f = self.f
        bad = f", {short.nonfinite} not finite" if short.nonfinite else ""
        return Words(
            f"{name} [{', '.join(map(str, short.shape))}]: mean {f.number(short.mean)}, rms {f.number(short.rms)}, "
            f"{f.number(short.smallest)} to {f.number(short.largest)}, {short.zeros} zeros{bad}; a corner:"
        )

    def corner(self, short: Summary) -> Table:
        """Return the corner of a large array."""
        rows = tuple((str(i), *map(self.f.number, row)) for i, row in enumerate(short.corner))
        return Table(("", *map(str, range(short.corner.shape[1]))), rows)

    def statistics(self, columns: dict[str, np.ndarray]) -> Table:
        """Return the statistics of several arrays, one row each."""
        rows = []
        for name, array in columns.items():
            short = summary(array)
            rows.append(
                (name, *map(self.f.number, (short.mean, short.rms, short.smallest, short.largest)), str(short.zeros))
            )
        shape = shape_of(next(iter(columns.values())))
        return Table(("", "mean", "rms", "smallest", "largest", "zeros"), tuple(rows), shape)

    def brief(self, array: np.ndarray) -> str:
        """Return a small array in one line, a large one as its root mean square."""
        if array.size <= 4:
            return f"[{', '.join(map(self.f.number, array.reshape(-1)))}]"
        return f"(rms {self.f.number(summary(array).rms)})"


def described(node: NodeNumbers) -> str:
    """Return a layer in a few words."""
    units = getattr(node.layer, "units", None)
    words = f"{node.layer.kind} of {units}" if isinstance(units, int) else node.layer.kind
    words += ", derived by jax.vjp" if node.layer.derivation == "jax.vjp" else ""
    return words + (", frozen" if node.node.frozen else "")


def shape_of(array: np.ndarray) -> str:
    """Return a shape as text, e.g. [4, 2]."""
    return f"[{', '.join(map(str, np.shape(array)))}]"


def _node_of(parameter: ParameterNumbers) -> str:
    return parameter.path.rpartition("/")[0]


def _renamed(line: Line, name: str) -> Line:
    return Line(line.key, name, line.text, line.value, line.terms)


def _plain(part: Contribution, f: Figures) -> list[Line]:
    if part.values.size > MOST_LINES:
        return []
    return [
        Line(
            delta_key(part.reference, i),
            place(part.reference, i, part.values.shape),
            f.number(part.values[i]),
            float(part.values[i]),
        )
        for i in indices(part.values)
    ]
