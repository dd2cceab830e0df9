"""Runs that are killed, refused by the disk, and interrupted: what is left, and whether they come to the same bits.

    python benchmarks/chaos.py [--kills N] [--stride N] [--only PART] [--program NAME] [--seed N] [--json FILE]

Parts
    kills        N times kill -9 at a random moment of the life of a process that trains or resumes: a CNN, an LSTM, a
                 GPT, micro-batches in bfloat16, a run that its guard rescues, one that stops early
    signals      SIGINT and SIGTERM in the same way, a tenth as often
    disk         one process, every operation on a file of a run: killed before it, in the middle of a write, and
                 refused once for lack of space and by an input/output error; every N-th with --stride N
    damage       the newest checkpoint cut short, and with a bit flipped, at many places
    neighbours   two processes on one run, and clocks that jump

After each blow the folder must be readable; in the end weights, best weights and history must be those of a run that
nobody disturbed. Prints a line a part; leaves with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import itertools
import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

EXAMPLES = Path(__file__).parents[1] / "examples"
OFTEN = "training.checkpoint={seconds: 0, keep: 2}"
PROGRAMS: dict[str, tuple[str, list[str]]] = {  # example, changes
    "cnn": ("digits_cnn", ["training.epochs=3", "training.batch_size=64"]),
    "lstm": ("waves_lstm", ["training.epochs=6", "data.samples=300"]),
    "gpt": ("tales_gpt", ["training.epochs=2", "data.samples=60", "data.text.length=24"]),
    "bfloat16": (
        "digits",
        [
            "training.epochs=8",
            "training.precision=bfloat16",
            "optimizer={adamw: {learning_rate: 0.002, accumulate: 2}}",
        ],
    ),
    "rescue": ("digits", ["training.epochs=6", "optimizer={sgd: {learning_rate: 300.0, momentum: 0.9}}"]),
    "early stopping": (
        "digits",
        ["training.epochs=60", "optimizer={adam: 0.02}", "training.early_stopping={patience: 3}"],
    ),
}
TINY = {
    "name": "tiny",
    "data": {"builtin": "moons", "samples": 60},
    "network": [{"dense": {"units": 3, "activation": "tanh"}}, {"dropout": 0.1}, {"dense": 1}],
    "optimizer": {"adam": 0.05},
    "training": {"epochs": 3, "batch_size": 16, "checkpoint": {"seconds": 0, "keep": 2}},
}
MOST_KILLS = 6  # of one run; then it is let to its end


class Bits(NamedTuple):
    """What a run came to: digests of its last kept weights, and its history without times."""

    weights: str
    state: str
    story: str


class Tally:
    """What was tried, and what went wrong."""

    def __init__(self, part: str) -> None:
        self.part, self.tried, self.faults, self.begun = part, 0, list[str](), time.monotonic()

    def fault(self, words: str) -> None:
        """Note a fault, and say so at once."""
        self.faults.append(words)
        print(f"{self.part}: {words}", file=sys.stderr, flush=True)

    def line(self) -> str:
        """Return the result in one line."""
        seconds = time.monotonic() - self.begun
        return f"{self.part:12} {self.tried:6,} blows, {len(self.faults)} faults, {seconds:.0f} s"


# -------------------------------------------------------------------------------------------------- what a run came to


def config_of_program(name: str) -> Any:
    """Return the configuration of a program."""
    import retrograd as rg

    example, changes = PROGRAMS[name]
    return rg.read_config(EXAMPLES / f"{example}.yaml", [*changes, OFTEN])


def bits(folder: Path) -> Bits:
    """Return what the run in a folder came to."""
    import retrograd as rg
    from retrograd.record.events import Epoch, Health, Intervention, Stopped, write_event
    from retrograd.record.run import RunFolder
    from retrograd.record.tree import digest

    model = rg.load(folder)
    kinds = (Epoch, Health, Intervention, Stopped)
    lines = []
    for event in RunFolder.open(folder).events():
        if isinstance(event, kinds):
            lines.append(write_event(dataclasses.replace(event, time=None, **without_seconds(event))).decode())
    return Bits(digest(model.variables.params), digest(model.variables.state), "".join(lines))


def without_seconds(event: Any) -> dict[str, Any]:
    """Return the fields of an event that may differ between equal runs, as they are compared."""
    return {"seconds": 0.0} if hasattr(event, "seconds") else {}


def unreadable(folder: Path) -> str:
    """Return why a folder cannot be read; nothing where it can, or where nothing had begun."""
    from retrograd.base.errors import RetrogradError
    from retrograd.record.model import load_model
    from retrograd.record.run import RunFolder
    from retrograd.record.runs import list_runs
    from retrograd.report.story import read_story

    try:
        problems = [run.problem for run in list_runs(folder.parent) if run.problem]
        if problems:
            return problems[0]
        if (folder / "config.yaml").exists():
            story = read_story(RunFolder.open(folder))
            if (folder / "model.safetensors").exists():
                load_model(folder / "model.safetensors")
                return story.problem
    except (RetrogradError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def train_or_resume(config: Any, folder: Path, **further: Any) -> None:
    """Do what `retrograd train CONFIG --run FOLDER --resume auto` does; a run that has ended stays as it is."""
    from retrograd.record.run import RunFolder
    from retrograd.training.resume import resume_prepared
    from retrograd.training.run import as_config, prepare, train_prepared

    prepared = prepare(as_config(config))
    if not (folder / "config.yaml").exists():
        train_prepared(prepared, folder=folder, readings=True, **further)
        return
    run = RunFolder.open(folder)
    stopped = run.stopped()
    if stopped is None or stopped.may_go_on:
        resume_prepared(run, prepared, readings=True, **further)


# ------------------------------------------------------------------------------------------------------------ processes


def live(name: str, folder: str, began: Any) -> None:
    """Train or resume in a process of its own, with checkpoints wherever they may be."""
    from retrograd.training.loop import saver

    saver.SHARE = math.inf
    warnings.simplefilter("ignore")
    began.set()
    train_or_resume(config_of_program(name), Path(folder))


def struck(context: Any, name: str, folder: Path, seconds: float | None, number: int) -> tuple[int | None, float]:
    """Let a process live, strike it after some seconds; return its exit code if it was not struck, and its life."""
    began = context.Event()
    process = context.Process(target=live, args=(name, str(folder), began))
    process.start()
    began.wait(120)
    begin = time.monotonic()
    process.join(seconds)
    code = process.exitcode
    if code is None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(process.pid, number)
        process.join()
    process.close()
    return code, time.monotonic() - begin


def processes(
    part: str, blows: int, numbers: tuple[int, ...], programs: list[str], root: Path, dice: random.Random
) -> Tally:
    """Strike processes at random moments until there were enough blows; let each run come to its end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["retrograd.training.resume"])
    tally = Tally(part)
    expected: dict[str, Bits] = {}
    lives: dict[str, float] = {}
    for attempt, name in enumerate(itertools.cycle(programs)):
        if tally.tried >= blows:
            return tally
        if name not in expected:  # twice: the second one finds its programs compiled
            for copy in ("first", "second"):
                _, lives[name] = struck(context, name, root / f"{part} {name} {copy}", None, 0)
            expected[name] = bits(root / f"{part} {name} second")
        folder = root / f"{part} {attempt} {name}"
        for blow in itertools.count():
            is_last = blow >= MOST_KILLS or tally.tried >= blows
            moment = None if is_last else dice.uniform(0.0, lives[name])
            code, _ = struck(context, name, folder, moment, dice.choice(numbers))
            tally.tried += code is None
            words = unreadable(folder) if folder.exists() else ""
            if words:
                tally.fault(f"{name}, blow {blow}: {words}")
            if code:
                tally.fault(f"{name}, blow {blow}: a process failed with exit code {code}")
            if code is not None:
                break
        compare(tally, f"{name}, run {attempt}", folder, expected[name])
        print(f"{part}: {name} came to its end, {tally.tried} of {blows} blows so far", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def compare(tally: Tally, name: str, folder: Path, expected: Bits) -> None:
    """Note a fault where a run did not come to what it should have."""
    try:
        bits_here = bits(folder)
    except Exception as error:
        tally.fault(f"{name}: no result: {error}")
        return
    wrong = [part for part, value, other in zip(Bits._fields, bits_here, expected, strict=True) if value != other]
    if wrong:
        tally.fault(f"{name}: other {' and '.join(wrong)} in {folder}")


# ----------------------------------------------------------------------------------------------------------------- disk


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the program's own reaches the disk after it."""


class Disk:
    """Counts the operations on files, and does something else at one of them.

    `act(operation, tear)` is called at operation number `at`: it raises, or returns; `tear` writes half of what a write
    was to write. Once it raised Killed, nothing reaches the disk any more.
    """

    NAMES = ("replace", "fsync", "ftruncate", "mkdir", "unlink", "rmdir", "rename", "open")

    def __init__(self, at: int | None = None, act: Callable[[Callable[[], object]], None] | None = None) -> None:
        self.at, self.act, self.count, self.is_dead = at, act, 0, False
        self.names: list[str] = []

    def reach(self, name: str, tear: Callable[[], object] = lambda: None) -> None:
        """Be asked for an operation before it is done."""
        if self.is_dead:
            raise Killed
        self.count += 1
        self.names.append(name)
        if self.count == self.at and self.act is not None:
            try:
                self.act(tear)
            except Killed:
                self.is_dead = True
                raise

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """Stand between the program and the files that it writes."""
        from retrograd.record import files, lock
        from retrograd.record.logs import log

        originals = {name: getattr(os, name) for name in self.NAMES}

        def counted(name: str) -> Callable[..., Any]:
            def operation(*arguments: Any, **named: Any) -> Any:
                flags = arguments[1] if name == "open" and len(arguments) > 1 else os.O_CREAT
                if flags & os.O_CREAT:
                    self.reach(name)
                return originals[name](*arguments, **named)

            return operation

        def opened(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if mode == "rb":
                return open(path, mode, *arguments, **named)
            self.reach(f"create {mode}")
            return Written(open(path, mode, *arguments, **named), self)

        for module in (files, log):
            module.open = opened  # type: ignore[attr-defined]
        for name in self.NAMES:
            setattr(os, name, counted(name))
        assert lock.os is os
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(os, name, original)
            for module in (files, log):
                del module.open  # type: ignore[attr-defined]


class Written:
    """A file whose writes are counted."""

    def __init__(self, stream: Any, disk: Disk) -> None:
        self._stream, self._disk = stream, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, content: Any) -> Any:
        """Write, or do what the disk does in its place."""
        self._disk.reach("write", lambda: self._tear(content))
        return self._stream.write(content)

    def writelines(self, parts: Any) -> None:
        """Write one part after the other."""
        for part in parts:
            self.write(part)

    def _tear(self, content: Any) -> None:
        self._stream.write(bytes(content)[: len(content) // 2])
        self._stream.flush()


def kill(tear: Callable[[], object]) -> None:
    """Die before an operation."""
    raise Killed


def tear_and_kill(tear: Callable[[], object]) -> None:
    """Die in the middle of a write."""
    tear()
    raise Killed


def refuse(number: int, torn: bool) -> Callable[[Callable[[], object]], None]:
    """Return what refuses an operation, perhaps after half of it."""

    def act(tear: Callable[[], object]) -> None:
        if torn:
            tear()
        raise OSError(number, os.strerror(number))

    return act


ACTS = {
    "killed before": kill,
    "killed in the middle of": tear_and_kill,
    "no space at": refuse(errno.ENOSPC, torn=True),
    "an I/O error at": refuse(errno.EIO, torn=False),
}


class Inline:
    """A thread that has ended when it has started: its operations have a fixed place among the others."""

    def __init__(self, target: Callable[..., object], args: tuple[Any, ...], name: str) -> None:
        self.target, self.args = target, args

    def start(self) -> None:
        """Do it."""
        self.target(*self.args)

    def join(self) -> None:
        """Nothing is left to wait for."""

    def is_alive(self) -> bool:
        """Say that it has ended."""
        return False


@contextlib.contextmanager
def in_small_steps() -> Iterator[None]:
    """Let a tiny run have many stretches, a checkpoint after each, and write the best weights at each epoch."""
    from retrograd.training.loop import course, keeping, saver
    from retrograd.update import step

    settings = [(course, "LOOK_STEPS", 1), (course, "FEW_LOOK_STEPS", 1), (step, "STEPS_PER_DISPATCH", 1),
                (saver, "SHARE", math.inf), (keeping, "SECONDS", 0.0), (keeping, "SHARE", math.inf)]  # fmt: skip
    before = [(module, name, getattr(module, name)) for module, name, _ in settings]
    for module, name, value in settings:
        setattr(module, name, value)
    thread, saver.threading.Thread = saver.threading.Thread, Inline  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        saver.threading.Thread = thread  # type: ignore[misc]
        for module, name, value in before:
            setattr(module, name, value)


def disk(root: Path, stride: int) -> Tally:
    """Strike at every operation on a file of a tiny run."""
    from retrograd.base.errors import RetrogradError

    tally = Tally("disk")
    with in_small_steps(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train_or_resume(TINY, root / "warm")
        counted = Disk()
        with counted.patched():
            train_or_resume(TINY, root / "whole")
        expected = bits(root / "whole")
        for (words, act), at in itertools.product(ACTS.items(), range(1, counted.count + 1, stride)):
            if "middle" in words and counted.names[at - 1] != "write":
                continue
            name = f"{words} operation {at}, {counted.names[at - 1]}"
            folder = root / f"disk {tally.tried}" / "run"
            folder.parent.mkdir()
            with contextlib.suppress(Killed, RetrogradError, OSError), Disk(at, act).patched():
                train_or_resume(TINY, folder)
            tally.tried += 1
            words_of_it = unreadable(folder)
            if words_of_it:
                tally.fault(f"{name}: {words_of_it}")
            try:
                train_or_resume(TINY, folder)
            except Exception as error:
                tally.fault(f"{name}: cannot go on: {type(error).__name__}: {error}")
                continue
            compare(tally, name, folder, expected)
            shutil.rmtree(folder.parent)
    print(f"{'':12} {counted.count} operations on files in a run", flush=True)
    return tally


# ----------------------------------------------------------------------------------------------------------------- rest


class Crash(Exception):
    """What ends a run in the middle."""


def crashing(folder: Path, epoch: int) -> None:
    """Train a tiny run until an epoch has ended, and break off."""

    def crash(event: Any) -> None:
        if event.epoch == epoch:
            raise Crash

    with contextlib.suppress(Crash):
        train_or_resume(TINY, folder, watchers=(crash,))


def whole_and_crashed(root: Path, epoch: int) -> Bits:
    """Train a tiny run, and the same one until an epoch has ended; return what the first one came to."""
    train_or_resume(TINY, root / "whole")
    crashing(root / "crashed", epoch)
    return bits(root / "whole")


def damage(root: Path, dice: random.Random) -> Tally:
    """Damage the newest checkpoint, and all of them."""
    from retrograd.record.checkpoint import checkpoint_paths

    tally = Tally("damage")
    with in_small_steps(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = whole_and_crashed(root, 3)
        for blow, most in itertools.product(range(40), (1, 9)):
            folder = root / f"damage {tally.tried}"
            shutil.copytree(root / "crashed", folder)
            for path in checkpoint_paths(folder)[:most]:
                content = bytearray(path.read_bytes())
                place = dice.randrange(len(content))
                if blow % 2:
                    content[place] ^= 1 << dice.randrange(8)
                path.write_bytes(content if blow % 2 else content[:place])
            tally.tried += 1
            train_or_resume(TINY, folder)
            compare(tally, f"blow {blow}, {most} damaged", folder, expected)
            shutil.rmtree(folder)
    return tally


def neighbours(root: Path) -> Tally:
    """Let two processes want one run, and let the clock jump."""
    from retrograd.base.errors import RunInUseError
    from retrograd.record import events, writer

    tally = Tally("neighbours")
    with in_small_steps(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = whole_and_crashed(root, 2)
        tally.tried += 1
        with writer.RunWriter.resume(root / "crashed"):
            before = (root / "crashed" / "events.jsonl").read_bytes()
            try:
                train_or_resume(TINY, root / "crashed")
                tally.fault("a second process wrote to the run")
            except RunInUseError:
                pass
            if (root / "crashed" / "events.jsonl").read_bytes() != before:
                tally.fault("a second process changed the events")
        train_or_resume(TINY, root / "crashed")
        compare(tally, "two processes", root / "crashed", expected)
        days = itertools.cycle((0, 400, -4000, 1, -1, 90000))
        wall = time.time

        class Jumping(datetime):
            """A clock that is set back and forth."""

            @classmethod
            def now(cls, tz: Any = None) -> datetime:
                """Return some other time."""
                return datetime.now(UTC) + timedelta(days=next(days))

        events.datetime, time.time = Jumping, lambda: wall() + 86400 * next(days)  # type: ignore[misc]
        try:
            crashing(root / "jumps", 2)
            train_or_resume(TINY, root / "jumps")
        finally:
            events.datetime, time.time = datetime, wall  # type: ignore[misc]
        tally.tried += 1
        compare(tally, "clock jumps", root / "jumps", expected)
    return tally


def main() -> int:
    """Strike, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, metavar="N")
    parser.add_argument("--stride", type=int, default=1, metavar="N")
    parser.add_argument("--only", choices=("kills", "signals", "disk", "damage", "neighbours"))
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument(
        "--program", choices=PROGRAMS, action="append", help="only this one; may be given several times"
    )
    wanted = parser.parse_args()
    programs = wanted.program or [*PROGRAMS]
    dice = random.Random(wanted.seed)
    root = Path(tempfile.mkdtemp(prefix="retrograd-chaos-"))
    compiled = {"JAX_COMPILATION_CACHE_DIR": str(root / "compiled"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}  # fmt: skip
    os.environ |= {name: os.environ.get(name, value) for name, value in compiled.items()}
    stops = (signal.SIGINT, signal.SIGTERM)
    parts: dict[str, Callable[[Path], Tally]] = {
        "kills": lambda place: processes("kills", wanted.kills, (signal.SIGKILL,), programs, place, dice),
        "signals": lambda place: processes("signals", -(-wanted.kills // 10), stops, programs, place, dice),
        "disk": lambda place: disk(place, wanted.stride),
        "damage": lambda place: damage(place, dice),
        "neighbours": neighbours,
    }
    tallies = []
    for name, part in parts.items():
        if wanted.only in (None, name):
            place = root / name
            place.mkdir()
            tallies.append(part(place))
            print(tallies[-1].line(), flush=True)
    if wanted.json:
        plain = {t.part: {"blows": t.tried, "faults": t.faults} for t in tallies}
        wanted.json.write_text(json.dumps(plain, indent=1) + "\n")
    faults = sum(len(tally.faults) for tally in tallies)
    if faults:
        print(f"what is left lies in {root}", file=sys.stderr)
    else:
        shutil.rmtree(root, ignore_errors=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
