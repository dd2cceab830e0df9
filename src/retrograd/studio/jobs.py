"""Jobs: trainings, diagnoses and repairs as separate command lines, one after another.

Each has its own session, so it survives the end of the studio, however that happens. Its progress is in the run's
folder; this module knows only the queue, and the last output of each job.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from retrograd.base.errors import UsageError
from retrograd.record.files import make_folder

MOST_KEPT = 50  # ended jobs
TAIL_BYTES = 4096  # of a job's output


@dataclass
class Job:
    """One command line; `run` is the folder name of the run that it creates or examines."""

    number: int
    verb: str
    run: str
    arguments: Sequence[str]
    log: Path
    state: Literal["waiting", "running", "ended"] = "waiting"
    code: int | None = None
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    process: subprocess.Popen[bytes] | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def plain(self) -> dict[str, Any]:
        """Return the job as the page gets it."""
        said = self.said() if self.state == "ended" and self.code else ""
        return {"number": self.number, "verb": self.verb, "run": self.run, "state": self.state, "code": self.code,
                "since": self.since.isoformat(), "said": said}  # fmt: skip

    def said(self) -> str:
        """Return the last lines of the output."""
        try:
            with open(self.log, "rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
                text = stream.read().decode(errors="replace")
        except OSError:
            return ""
        lines = [line for line in text.splitlines() if line.strip()]
        errors = [i for i, line in enumerate(lines) if line.startswith("error:")]
        return "\n".join(lines[errors[-1] :] if errors else lines[-3:])


class Jobs:
    """The queue: at most `most` jobs run at a time, the others wait."""

    def __init__(self, folder: Path, most: int = 1, options: Sequence[str] = ()) -> None:
        self.folder, self.most, self.options = folder, most, tuple(options)
        self.jobs: list[Job] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def begin(self, verb: str, run: str, arguments: Sequence[str]) -> Job:
        """Queue a command line; it starts at once if fewer than `most` are running."""
        make_folder(self.folder)
        with self._lock:
            number = next(self._numbers)
            log = self.folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{number}-{verb}.log"
            job = Job(number, verb, run, arguments, log)
            ended = [job for job in self.jobs if job.state == "ended"]
            for old in ended[: max(0, len(ended) - MOST_KEPT)]:
                self.jobs.remove(old)
            self.jobs.append(job)
        self._next()
        return job

    def remove(self, number: int) -> None:
        """Remove a waiting job from the queue, or end a diagnosis or repair; training is stopped by its run.

        Raises:  UsageError for a job that is training
        """
        with self._lock:
            job = next((job for job in self.jobs if job.number == number), None)
            if job is None:
                return
            if job.state == "running" and job.verb in ("train", "resume"):
                raise UsageError("the job is training", where=job.run, cure="stop the run instead")
            if job.state == "waiting":
                self.jobs.remove(job)
            elif job.process is not None and job.process.poll() is None:
                os.killpg(job.process.pid, signal.SIGTERM)  # it leads a session, so its child processes end too

    def waiting_for(self, run: str) -> Job | None:
        """Return the waiting or running job of a run."""
        return next((job for job in self.jobs if job.run == run and job.state != "ended"), None)

    def plain(self) -> list[dict[str, Any]]:
        """Return all jobs as the page gets them."""
        with self._lock:
            return [job.plain() for job in self.jobs]

    def _next(self) -> None:
        with self._lock:
            running = sum(job.state == "running" for job in self.jobs)
            for job in [job for job in self.jobs if job.state == "waiting"][: max(0, self.most - running)]:
                self._start(job)

    def _start(self, job: Job) -> None:
        command = [sys.executable, "-m", "retrograd", *job.arguments, *self.options]
        with open(job.log, "wb") as log:
            job.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        job.state = "running"
        threading.Thread(target=self._wait, args=(job,), daemon=True).start()

    def _wait(self, job: Job) -> None:
        assert job.process is not None
        job.code = job.process.wait()
        job.state = "ended"
        job.ended.set()
        self._next()
