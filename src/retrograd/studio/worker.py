"""The bench process, in which JAX and compiled programs stay loaded; requests and answers are lines of JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
import traceback
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from retrograd.base.compilation.compile_cache import keep_compiled
from retrograd.base.document import parse_document, write_document
from retrograd.base.errors import RetrogradError, UsageError
from retrograd.base.memory import memory_told
from retrograd.base.schema import dump, parse
from retrograd.data.cells.precision import reading_in
from retrograd.data.dataset import load as load_data
from retrograd.data.report import Report
from retrograd.data.settings import DataSettings
from retrograd.diagnosis.program import Program
from retrograd.diagnosis.remedy import remedies
from retrograd.explanation.explain import Explanation, explain
from retrograd.network.own_layers import load_layers
from retrograd.record.layout import CONFIG, EVENTS, MODEL
from retrograd.record.logs.weights import read_weights
from retrograd.record.run import RunFolder
from retrograd.repairs.patch import difference, patched
from retrograd.studio.arrays import arrays_of, editable, exact
from retrograd.studio.form import form_of, rows_from
from retrograd.tracing.cells import Opener
from retrograd.tracing.document import Writer
from retrograd.tracing.forms.page import page_data
from retrograd.tracing.source import open_source
from retrograd.tracing.trace import Desk, Request, Trace
from retrograd.training.config.config import RunConfig, config_of
from retrograd.training.config.design import design
from retrograd.training.loop.moments import variables_from
from retrograd.training.plane import PlaneSampler, may_sample
from retrograd.training.resume import prepare_again, stored_config
from retrograd.training.use.predict import Model, load

MEMORY_SHARE = 0.75  # of the machine's memory that a request may take
MOST_KEPT = 4  # steps, and models
DECIMALS = 4


class Kept:
    """The last few things made, by key."""

    def __init__(self) -> None:
        self.things: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return the thing with a key, made if there is none."""
        if key not in self.things:
            self.things[key] = make()
            while len(self.things) > MOST_KEPT:
                self.things.popitem(last=False)
        self.things.move_to_end(key)
        return self.things[key]


desks, traces, models, datasets, planes = Kept(), Kept(), Kept(), Kept(), Kept()


def stamp(path: Path) -> tuple[int, int, int]:
    """Return a stamp that changes when a file does."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


# ---------------------------------------------------------------------------------------------------------- requests


def explained(text: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the explanation of a configuration's text: its nodes, totals and risks, with their lines."""
    document = parse_document(text, CONFIG)
    with reading_in("float32"):
        config = config_of(document, changes)
    facts = explain(config, dataset=dataset_of(config), measure=False)
    lines = document.lines
    return {**plain_facts(facts), "lines": dict(lines), "entries": [dump_entry(entry) for entry in config.network]}


def dump_entry(entry: Any) -> Any:
    """Return an entry of the network as plain values, as short as possible."""
    return dump(dataclasses.replace(RunConfig(network=(entry,))), filled=False)["network"][0]


def dataset_of(config: RunConfig) -> Any:
    """Return the data of a configuration, from memory if their files have not changed."""
    if config.data is None:
        return None
    data = config.data
    files = [Path(path) for path in (data.path, data.valid_path, data.test_path) if path and Path(path).is_file()]

    def read() -> Any:
        with reading_in(config.training.precision):
            return load_data(data)

    if data.path is not None and not files:  # a folder, or a pattern: read each time
        return read()
    return datasets.get((config.training.precision, repr(data), *map(stamp, files)), read)


def plain_facts(facts: Explanation) -> dict[str, Any]:
    """Return what the page shows of an explanation."""
    names = ("path", "kind", "entry", "shape", "parameters", "arithmetic", "forward", "settings", "frozen")
    nodes = [{name: getattr(node, name) for name in names} for node in facts.nodes]
    risks = [{**risk.plain(), "node": risk.node, "setting": risk.setting, "note": risk.is_note} for risk in facts.risks]
    totals = {key: value for key, value in dataclasses.asdict(facts.totals).items() if is_plain(value)}
    return {"name": facts.name, "task": facts.task, "rows": dict(facts.rows), "nodes": nodes, "risks": risks,
            "update": facts.update, "losses": [loss.kind for loss in facts.losses], "totals": totals,
            "notes": list(facts.notes)}  # fmt: skip


def is_plain(value: Any) -> bool:
    """Return whether a value is plain JSON."""
    return value is None or isinstance(value, (bool, int, float, str))


def traced_step(run: str, step: int, sample: int | None, edits: Mapping[str, float] | None) -> tuple[Desk, Trace]:
    """Return a step of a run, from memory if nothing has changed."""
    path = Path(run)
    key = (run, step, sample, stamp(path / CONFIG), stamp(path / EVENTS))
    desk: Desk = desks.get(key, lambda: Desk(open_source(path), Request(step, sample)))
    return desk, traces.get((key, repr(edits or {})), lambda: desk.trace(edits or {}))


def trace(
    run: str, step: int = 1, sample: int | None = None, edits: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return every number of a step of a run, and what the page draws of it."""
    desk, traced = traced_step(run, step, sample, edits)
    figures = traced.figures(DECIMALS)
    writer = Writer(traced.numbers, figures)
    data = page_data(traced.numbers, writer, list(writer.sections()), figures)
    return {
        "step": step,
        "steps": desk.source.last,
        "training_rows": desk.source.prepared.dataset.rows["train"],
        "title": traced.title,
        "facts": traced.facts(figures),
        "remarks": list(traced.remarks),
        "data": data,
        "exact": exact(traced.numbers),
    }


def arrays(
    run: str, stop: Mapping[str, str], step: int = 1, sample: int | None = None,
    edits: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the large arrays of a stop of a step, to draw as heat maps."""
    return arrays_of(traced_step(run, step, sample, edits)[1].numbers, stop)


def cell(
    run: str, key: str, step: int = 1, sample: int | None = None, edits: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Return a number of a step, the terms that it is computed from, and how it can be edited."""
    desk, traced = traced_step(run, step, sample, edits)
    opened = Opener(traced.numbers, desk.state).open(key)
    return {**dataclasses.asdict(opened), "products": [part.value for part in opened.parts],
            "edit": editable(traced.numbers, key)}  # fmt: skip


def model_at(run: str) -> Model:
    """Return the model of a run, from memory if it has not changed."""
    path = Path(run) / MODEL
    if not path.exists():
        raise UsageError("there is no model yet", where=Path(run).name, cure="wait until the run ends")
    model: Model = models.get((run, stamp(path)), lambda: load(path.parent))
    return model


def plane(run: str, steps: Sequence[int]) -> dict[str, Any]:
    """Return the outputs of a network over the plane of its two inputs, with the weights recorded at some steps.

    A quantity is shaded between the lowest and the highest target, whatever the step: pictures can be compared.
    """
    path = Path(run)
    sampler, ends = planes.get((run, stamp(path / CONFIG)), lambda: plane_sampler(path))
    if sampler is None:
        return {"plane": None}
    form, wanted = sampler.kept[0], set(steps)
    weights = {step: variables_from(arrays, form) for step, arrays in read_weights(path) if step in wanted}
    drawn = sampler.drawn(weights, None, ends) if weights else None
    return {"plane": drawn and dataclasses.asdict(drawn)}


def plane_sampler(path: Path) -> tuple[PlaneSampler | None, tuple[float, float]]:
    """Return the sampler for a run's outputs, if its network has two inputs, and the range of its targets."""
    config = dataclasses.replace(stored_config(RunFolder(path)), distributed=None)  # in this process alone
    prepared = prepare_again(RunFolder(path), config, dataset_of(config))
    first = prepared.first()
    if not may_sample(prepared, first):
        return None, (0.0, 1.0)
    sampler = PlaneSampler(prepared, prepared.evaluator(), first)
    targets = [point.target for point in sampler.points()]
    return sampler, (min(targets), max(targets))


def form(run: str) -> dict[str, Any]:
    """Return the columns that a run's model expects, and a row of its data to start with."""
    return form_of(model_at(run))


def predict(run: str, rows: Sequence[Mapping[str, Any]] | None = None, file: str | None = None) -> dict[str, Any]:
    """Return a model's predictions for rows, given as cells by column or in a file."""
    model, report = model_at(run), Report()
    data: Any = Path(file) if file is not None else rows_from(model, rows or [])
    decoded = model.decode(data, report)
    answer: dict[str, Any] = {"notes": report.sentences(), "classes": None, "labels": None}
    if decoded.labels is not None:
        answer["labels"] = np.asarray(decoded.labels).tolist()
    if decoded.probabilities is not None and model.classes is not None:
        answer |= {"classes": [str(name) for name in model.classes], "probabilities": decoded.probabilities.tolist()}
    if decoded.values is not None:
        target = model.preprocessing.target
        answer |= {"targets": list(target.names) if target else [], "values": np.asarray(decoded.values).tolist()}
    return answer


def remedy(text: str, name: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Return a configuration's text with a remedy applied, the diff, and why it may help."""
    if name not in remedies:
        raise UsageError(f"unknown remedy '{name}'")
    config = config_of(parse_document(text, CONFIG), changes)
    new = remedies[name]().change(config, Program(config, dataset_of(config)))
    if new is None:
        raise UsageError("the remedy has nothing to change", where=name)
    changed = patched(text, config, new)
    return {"text": changed, "difference": difference(text, changed, CONFIG), "why": remedies[name].why}


def table(file: str, target: str | None = None) -> dict[str, Any]:
    """Return a suitable configuration for a table, and what it predicts."""
    settings = parse(DataSettings, {"path": file} | ({"target": target} if target else {}), "data")
    dataset = load_data(settings)
    chosen = dataset.preprocessing.target
    return {
        "text": design(dataset, settings).text,
        "target": list(chosen.names) if chosen else [],
        "task": dataset.task,
    }


def shortened(run: str) -> dict[str, Any]:
    """Return a run's configuration without defaults, as a user would have written it."""
    config = config_of(parse_document((Path(run) / CONFIG).read_text(encoding="utf-8"), CONFIG))
    return {"text": write_document(dump(config, filled=False))}


VERBS: dict[str, Callable[..., Any]] = {
    "explain": explained,
    "trace": trace,
    "arrays": arrays,
    "cell": cell,
    "plane": plane,
    "form": form,
    "predict": predict,
    "remedy": remedy,
    "table": table,
    "short": shortened,
}


# -------------------------------------------------------------------------------------------------------- the process


def answer(line: bytes) -> dict[str, Any]:
    """Return the answer to a request, or its problems."""
    request = json.loads(line)
    verb = VERBS[request.pop("verb")]
    try:
        return {"answer": plainly(memory_told()(verb)(**request))}
    except RetrogradError as error:
        return {"problems": [list(problem) for problem in error.problems]}
    except Exception as error:  # the bench continues
        traceback.print_exc()
        words = str(error).partition("\n")[0]
        return {"problems": [["", f"internal error: {type(error).__name__}: {words}", ""]]}


def plainly(value: Any) -> Any:
    """Return a value as plain JSON, with NaN and infinities as strings."""
    if isinstance(value, Mapping):
        return {str(key): plainly(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plainly(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def main() -> None:
    """Answer requests until the input is closed."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # otherwise printed output would be mistaken for an answer
    limit = int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    keep_compiled()
    jax.devices()
    for file in sys.argv[1:]:
        load_layers(Path(file))
    for line in requests:
        answers.write(json.dumps(answer(line)).encode() + b"\n")
        answers.flush()
