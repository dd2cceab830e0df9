"""The explanation of a configuration: every node and every setting of a run, before the first step."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from retrograd.base.document import Document, parse_document, read_document
from retrograd.base.doors import refuse_foreign
from retrograd.base.finding import Finding
from retrograd.base.schema import parse
from retrograd.data.dataset import Batch, Dataset, load
from retrograd.data.patterns import is_pattern
from retrograd.data.settings import DataSettings
from retrograd.explanation.facts import LossFacts, RunFacts
from retrograd.explanation.nodes import Inspector
from retrograd.explanation.page import as_html
from retrograd.explanation.risks import beside, quick_findings
from retrograd.explanation.settings import Reader
from retrograd.explanation.sharing import sharing_of
from retrograd.explanation.text import as_text
from retrograd.explanation.totals import totals_of
from retrograd.native.library import kernels
from retrograd.network.layer import Context, Spec
from retrograd.network.network import Variables
from retrograd.propagation.backprop import forward
from retrograd.propagation.objective import evaluate_losses, total
from retrograd.record.run import CONFIG
from retrograd.tracing.source import open_source
from retrograd.training.config.config import RunConfig, config_in, config_of, document_with, is_configuration
from retrograd.training.config.design import design
from retrograd.training.prepare import Prepared, prepare
from retrograd.training.run import Run


@dataclass(frozen=True)
class Explanation(RunFacts):
    """A planned run in words and figures; `print(explanation)` shows the same text as the command line."""

    def __str__(self) -> str:
        return as_text(self)

    def text(self, every: bool = False) -> str:
        """Return the explanation as text, with `every` setting or only those that matter."""
        return as_text(self, every)

    def html(self) -> str:
        """Return the explanation as a self-contained HTML page."""
        return as_html(self)

    def to_json(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        findings = [risk.plain() for risk in self.risks]
        totals = {**dataclasses.asdict(self.totals), "seconds_per_epoch": self.totals.seconds_per_epoch}
        plain = {key: value for key, value in dataclasses.asdict(self).items() if key != "risks"}
        return {**plain, "rows": dict(self.rows), "findings": findings, "totals": totals}


def explain(
    what: Any,
    *,
    dataset: Dataset | None = None,
    target: str | None = None,
    changes: Sequence[str] = (),
    findings: Sequence[Finding] = (),
    measure: bool = True,
) -> Explanation:
    """Explain a configuration (path, object or mapping), a run (object or folder), or just a data file.

    `changes` are settings such as `training.epochs=5`; `target` is the column of a data file to predict. Findings that
    a diagnosis makes without training appear next to the lines they concern, as do the extra `findings`. A step is
    compiled and timed unless `measure` is false.

        print(rg.explain("examples/xor.yaml"))
    """
    refuse_foreign(what, "explain")
    prepared, config, document, reasons = _opened(what, dataset, target, changes)
    variables = prepared.first()
    batch = {name: column[: prepared.batch_size] for name, column in prepared.dataset.train.items()}
    outputs, loss = _first_outputs(prepared, variables, batch)
    node_outputs = {node.name: outputs[node.name] for node in prepared.network.nodes}
    inspector = Inspector(prepared, variables, batch, node_outputs)
    nodes = tuple(inspector.node(node) for node in prepared.network.nodes)
    specs = jax.tree.map(lambda y: Spec(y.shape, y.dtype), node_outputs)
    settings = tuple(Reader(prepared.config, config, document, reasons).settings())
    all_findings = (*quick_findings(prepared, variables, loss), *findings)
    return Explanation(
        name=prepared.config.name,
        task=prepared.dataset.task,
        rows=prepared.dataset.rows,
        nodes=nodes,
        losses=tuple(_loss(objective) for objective in prepared.objectives),
        update=prepared.config.optimizer.equation + "; p = p - learning_rate d",
        settings=settings,
        totals=totals_of(prepared, nodes, variables, specs, measure),
        risks=tuple(beside(all_findings, prepared.network.by_name, [fact.path for fact in settings])),
        notes=tuple(prepared.dataset.notes),
        sharing=sharing_of(prepared, variables),
    )


def _first_outputs(prepared: Prepared, variables: Variables, batch: Batch) -> tuple[dict[str, Any], float]:
    """Return the output of every node for a batch at the initial weights, and the loss."""
    ctx = Context(True, jax.random.key(prepared.config.training.seed))

    def run(params: Any, batch: Batch) -> tuple[dict[str, Any], jax.Array]:
        outputs = forward(prepared.network, params, variables.state, ctx, batch).outputs
        return outputs, total(prepared.objectives, evaluate_losses(prepared.objectives, outputs, ctx)[0])

    with kernels(False):
        outputs, loss = jax.jit(run)(variables.params, batch)
    return outputs, float(loss)


def _opened(
    what: Any, dataset: Dataset | None, target: str | None, changes: Sequence[str]
) -> tuple[Prepared, RunConfig, Document | None, dict[str, str]]:
    """Return the prepared run, its configuration as written, its document, and the reasons for chosen settings."""
    path = Path(what) if isinstance(what, (str, Path)) else None
    if path is not None and (is_pattern(path) or (path.is_dir() and not (path / CONFIG).exists())):
        return _of_table(path, target, changes)
    if path is not None and path.is_file():
        return _of_file(path, dataset, changes) if is_configuration(path) else _of_table(path, target, changes)
    if isinstance(what, Run) or (path is not None and path.is_dir()):
        config = (what.folder if isinstance(what, Run) else Path(what)) / CONFIG
        if changes:  # no longer the same run
            return _of_file(config, what.dataset if isinstance(what, Run) else dataset, changes)
        prepared = open_source(what, dataset).prepared
        return prepared, prepared.config, read_document(config), {}
    prepared = open_source(what, dataset, changes).prepared
    written = what if isinstance(what, RunConfig) else parse(RunConfig, what)
    return prepared, written, None, {}


def _of_file(
    path: Path, dataset: Dataset | None, changes: Sequence[str]
) -> tuple[Prepared, RunConfig, Document, dict[str, str]]:
    document = document_with(changes, read_document(path))
    config = config_in(path.parent, document)
    return prepare(config, dataset), config, document, {}


def _of_table(
    path: Path, target: str | None, changes: Sequence[str]
) -> tuple[Prepared, RunConfig, Document, dict[str, str]]:
    settings = parse(DataSettings, {"path": str(path)} | ({"target": target} if target else {}), "data")
    dataset = load(settings)
    designed = design(dataset, settings, changes)
    document = parse_document(designed.text)
    reasons = {choice.path: choice.why for choice in designed.choices}
    return prepare(designed.config, dataset), config_of(document), document, reasons


def _loss(objective: Any) -> LossFacts:
    equations = objective.loss.formulas()
    return LossFacts(
        name=objective.name,
        kind=objective.loss.kind,
        inputs=tuple(objective.inputs),
        weight=objective.weight,
        forward=equations.forward if equations else "",
        backward=tuple(equations.backward) if equations else (),
    )
