"""Answers to the page's requests: runs, their events, jobs, and what the bench computes."""

from __future__ import annotations

import itertools
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from retrograd.base.document import parse_document
from retrograd.base.errors import RetrogradError, RunInUseError, UsageError
from retrograd.record.events import now
from retrograd.record.files import make_folder, open_regular, write_file
from retrograd.record.layout import CONFIG, DIAGNOSIS, EVENTS, REPAIR, WEIGHTS, folder_name
from retrograd.record.lock import is_locked
from retrograd.record.logs.follow import Place, read_on
from retrograd.record.run import RunFolder, ask_to_stop
from retrograd.studio.bench import Bench
from retrograd.studio.jobs import Jobs
from retrograd.studio.paths import changes_for
from retrograd.studio.shelf import Shelf, details, is_regular

OWN = ".studio"  # the studio's own files, in the folder of runs
QUOTA_BYTES = 2**28  # of uploads
MOST_BYTES = 2**23  # of weights per request
MOST_PLANES = 16  # per request
SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".parquet", ".npy", ".npz", ".xlsx")
EXAMPLES = Path(__file__).parent / "page" / "examples"


class Studio:
    """The studio of a folder of runs, with its shelf, bench and jobs."""

    def __init__(self, root: Path, data: Path, bench: Bench, jobs: Jobs) -> None:
        self.root, self.bench, self.jobs = root, bench, jobs
        self.own = root / OWN
        self.roots = (Path(os.path.realpath(data)), Path(os.path.realpath(self.own / "uploads")))
        self.shelf = Shelf(root)

    # ------------------------------------------------------------------------------------------------------- reading

    def state(self, request: Request) -> Any:
        """Return what every screen of the page needs."""
        return {"folder": str(self.root), "data": str(self.roots[0]), "jobs": self.jobs.plain(),
                "bench": self.bench.process, "examples": examples()}  # fmt: skip

    def runs(self, request: Request) -> Any:
        """Return the runs and the jobs."""
        return {"runs": self.shelf.rows(), "jobs": self.jobs.plain()}

    def run(self, request: Request) -> Any:
        """Return everything about a run except its events."""
        name = request.path_params["run"]
        if self.is_coming(name):
            return {"id": name, "name": name, "state": "starting", "open": True, "jobs": self.jobs.plain()}
        path = self.shelf.folder(name)
        return {**self.shelf.row(name), **details(path), "jobs": self.jobs.plain()}

    def is_coming(self, name: str) -> bool:
        """Return whether a run has no folder yet, but a job that will create it or failed to."""
        return any(job.run == name for job in self.jobs.jobs) and name not in self.shelf.folders()

    def events(self, request: Request) -> Response:
        """Return a line with the state of the run, then the lines of its log after a place."""
        name = request.path_params["run"]
        job = self.jobs.waiting_for(name)
        told: dict[str, Any] = {"job": job.plain() if job else None}
        if self.is_coming(name):
            head = {"place": "0-0-0", "again": False, "more": False, "running": False, "found": "", **told}
            return Response(json.dumps(head).encode() + b"\n", media_type="application/x-ndjson")
        path = self.shelf.folder(name)
        place = Place(*(int(part) for part in request.query_params.get("place", "0-0-0").split("-")))
        told["weights"] = size_of(path / WEIGHTS)
        running = is_locked(path)  # before its events are read: what is recorded last is read, or comes next
        portion = read_on(path / EVENTS, place)
        head = {"place": "-".join(map(str, portion.place)), "again": portion.again, "more": portion.more,
                "running": running, "found": examined_stamp(path), **told}  # fmt: skip
        return Response(json.dumps(head).encode() + b"\n" + portion.lines, media_type="application/x-ndjson")

    def weights(self, request: Request) -> Response:
        """Return the recorded weights of a small network as stored in its folder, from an offset in bytes."""
        path = self.shelf.folder(request.path_params["run"]) / WEIGHTS
        if not is_regular(path):
            return Response(b"", media_type="application/octet-stream")
        with open_regular(path) as stream:
            stream.seek(max(0, int(request.query_params.get("after", "0"))))
            return Response(stream.read(MOST_BYTES), media_type="application/octet-stream")

    # --------------------------------------------------------------------------------------------------------- doing

    def train(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Start training from the text of a configuration."""
        text = str(body["text"])
        values = self.values(text)
        name = folder_name(str(body.get("name") or values.get("name") or "run"))
        changes = changes_for(values, self.roots, self.shelf.folders())
        self.bench.ask("explain", text=text, changes=changes)  # rejects mistakes before anything is written
        folder = self.new_folder(name)
        config = self.own / "configurations" / f"{folder.name}.yaml"
        make_folder(config.parent)
        write_file(config, text.encode())
        sets = [part for change in changes for part in ("--set", change)]
        arguments = ["train", str(config), "--run", str(folder), "--quiet", *sets]
        return {"run": folder.name, "job": self.jobs.begin("train", folder.name, arguments).plain()}

    def new_folder(self, name: str) -> Path:
        """Return the path of a new run's folder."""
        stem = f"{now():%Y%m%d-%H%M%S}-{name}"
        taken = {job.run for job in self.jobs.jobs}
        names = (stem if i == 1 else f"{stem}-{i}" for i in itertools.count(1))
        return next(path for text in names if not (path := self.root / text).exists() and text not in taken)

    def stop(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Ask a run to stop; a waiting one is removed from the queue."""
        name = request.path_params["run"]
        job = self.jobs.waiting_for(name)
        if job is not None and job.state == "waiting":
            self.jobs.remove(job.number)
            return {}
        path = self.shelf.folder(name)
        if not is_locked(path):
            raise UsageError("the run is not training", where=name)
        ask_to_stop(path)
        return {}

    def resume(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Continue a run that was interrupted, or with `epochs` one that has finished."""
        path = self.checked(request)
        extend = ["--extend", str(int(body["epochs"]))] if body.get("epochs") else []
        return self.begin("resume", path, ["train", "--resume", str(path), "--quiet", *extend])

    def diagnose(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Start the diagnosis of a run."""
        path = self.checked(request)
        return self.begin("diagnose", path, ["diagnose", str(path)])

    def repair(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Start the repair of a run."""
        path = self.checked(request)
        return self.begin("repair", path, ["repair", str(path)])

    def begin(self, verb: str, path: Path, arguments: list[str]) -> Any:
        """Queue a job for a run, unless it has one."""
        if self.jobs.waiting_for(path.name) is not None:
            raise UsageError("this run already has a job", where=path.name, cure="wait until it ends")
        if is_locked(path):
            raise RunInUseError("the run is still training", where=path.name, cure="stop it, or wait until it ends")
        return {"run": path.name, "job": self.jobs.begin(verb, path.name, arguments).plain()}

    def cancel(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Cancel a job."""
        self.jobs.remove(int(request.path_params["job"]))
        return {}

    # ----------------------------------------------------------------------------------------------------- computing

    def trace(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return every number of a step, after edits."""
        return self.bench.ask("trace", **self.step(request, body))

    def arrays(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return the large arrays of a stop of a step."""
        stop = {name: str(body["stop"][name]) for name in ("phase", "node", "title")}
        return self.bench.ask("arrays", stop=stop, **self.step(request, body))

    def cell(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return a number of a step and the terms that it is computed from."""
        return self.bench.ask("cell", key=str(body["key"]), **self.step(request, body))

    def step(self, request: Request, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the run, the step and the edits of a request."""
        edits = {str(key): float(value) for key, value in (body.get("edits") or {}).items()}
        sample = body.get("row")
        return {"run": str(self.checked(request)), "step": int(body.get("step", 1)),
                "sample": None if sample is None else int(sample), "edits": edits}  # fmt: skip

    def plane(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return the outputs of a network over the plane of its two inputs, with the weights recorded at some steps."""
        steps = [int(step) for step in body["steps"]][:MOST_PLANES]
        return self.bench.ask("plane", run=str(self.checked(request)), steps=steps)

    def form(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return the form for predictions."""
        return self.bench.ask("form", run=str(self.shelf.folder(request.path_params["run"])))

    def predict(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return a model's predictions for rows."""
        path = self.shelf.folder(request.path_params["run"])
        file = self.uploaded(str(body["file"])) if body.get("file") else None
        return self.bench.ask("predict", run=str(path), rows=body.get("rows"), file=file and str(file))

    def remedy(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return a run's configuration with a remedy applied."""
        text = str(body.get("text") or self.short(request, body)["text"])
        changes_for(self.values(text), self.roots, self.shelf.folders())
        return self.bench.ask("remedy", text=text, name=str(body["remedy"]))

    def short(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return a run's configuration without its defaults."""
        return self.bench.ask("short", run=str(self.checked(request)))

    def explain(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return the explanation of a configuration's text, or its mistakes, which are normal while it is typed."""
        text = str(body["text"])
        try:
            changes = changes_for(self.values(text), self.roots, self.shelf.folders())
            return self.bench.ask("explain", text=text, changes=changes)
        except RetrogradError as error:
            return {"problems": [problem._asdict() for problem in error.problems]}

    def table(self, request: Request, body: Mapping[str, Any]) -> Any:
        """Return a configuration for an uploaded table."""
        target = body.get("target")
        return self.bench.ask("table", file=str(self.uploaded(str(body["file"]))), target=target and str(target))

    async def upload(self, request: Request) -> Any:
        """Store an uploaded file under a generated name."""
        folder = self.roots[1]
        asked = request.query_params.get("name", "")
        suffix = Path(asked).suffix.lower()
        if suffix not in SUFFIXES:
            cure = f"use a file of kind {', '.join(SUFFIXES)}"
            raise UsageError(f"files of kind '{suffix}' are not supported", where=asked, cure=cure)
        make_folder(folder)
        used = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
        name = f"{folder_name(Path(asked).stem)[:40]}-{secrets.token_hex(3)}{suffix}"
        path = folder / name
        try:
            with open(path, "xb") as stream:
                async for part in request.stream():
                    used += len(part)
                    if used > QUOTA_BYTES:
                        message = f"uploads would take more than {QUOTA_BYTES:,} bytes"
                        raise UsageError(message, cure=f"delete some files in {folder}")
                    stream.write(part)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return {"file": name}

    def uploaded(self, name: str) -> Path:
        """Return the path of an uploaded file.

        Raises:  UsageError if there is no upload with this name
        """
        folder = self.roots[1]
        files = {entry.name: Path(entry.path) for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False)}
        if name not in files:
            raise UsageError("the upload no longer exists", where=name, cure="choose the file again")
        return files[name]

    def checked(self, request: Request) -> Path:
        """Return the folder of a run, after checking that its configuration refers only to files of the studio."""
        path = self.shelf.folder(request.path_params["run"])
        changes_for(parse_document(RunFolder(path).config_text(), CONFIG).values, self.roots, self.shelf.folders())
        return path

    def values(self, text: str) -> Mapping[str, Any]:
        """Return the values of a configuration's text."""
        values = parse_document(text, CONFIG).values
        return values if isinstance(values, Mapping) else {}


def examined_stamp(path: Path) -> str:
    """Return a stamp that changes when a run is examined, repaired or reconfigured."""
    stamps = []
    for name in (DIAGNOSIS, REPAIR, CONFIG):
        try:
            stamps.append(str(os.stat(path / name).st_mtime_ns))
        except OSError:
            stamps.append("-")
    return " ".join(stamps)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if there is none."""
    try:
        return os.stat(path, follow_symlinks=False).st_size
    except OSError:
        return 0


def examples() -> list[dict[str, str]]:
    """Return the example configurations."""
    return [{"name": path.stem, "text": path.read_text(encoding="utf-8")} for path in sorted(EXAMPLES.glob("*.yaml"))]
