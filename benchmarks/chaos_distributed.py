"""Runs in several processes that are disturbed: how soon it is noticed, what is said, what is left, and how they go on.

    python benchmarks/chaos_distributed.py [--only PART] [--processes N] [--timeout N] [--json FILE]

Parts
    equal      losses of 1, 2 and 4 processes, of one with two devices, and of a repetition: a CNN with batch norm and
               dropout, an LSTM, a GPT, micro-batches (SGD; Adam turns rounding of attention's key_bias, whose gradient
               is 0, into full steps)
    kill       kill -9 of each rank in each phase: start, compile, step, checkpoint, end
    stop       SIGSTOP of each rank while it trains
    differs    one process with another configuration, with other data
    elastic    2 -> 1 -> 2 processes, killed between, against a run that nobody disturbed
    fsdp       parameters cut among the devices: bytes as computed, losses, and the time of a step

After each blow all processes must have ended within 60 s, with one message that names the rank, no dump of C++, and a
checkpoint that is whole. Prints a line a part; leaves with 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
SGD = "optimizer={sgd: {learning_rate: 0.05}}"
PROGRAMS = {  # example, changes
    "cnn": ("digits_cnn", ["training.epochs=2", "training.batch_size=64", SGD]),
    "lstm": ("waves_lstm", ["training.epochs=2", "data.samples=300", SGD]),
    "gpt": ("tales_gpt", ["training.epochs=1", "data.samples=60", "data.text.length=24", SGD]),
    "micro-batches": ("digits", ["training.epochs=2", "optimizer={sgd: {learning_rate: 0.05, accumulate: 2}}"]),
}
LONG = ["training.epochs=400", "training.checkpoint={seconds: 0, keep: 2}", "training.early_stopping=null", SGD]
PHASES = ("start", "compile", "step", "checkpoint", "end")
SOON = 60.0  # seconds
EQUAL = 1e-6
DEVICES = "1 with 2 devices"
DUMPS = ("*** Check failure", "terminate called", "Traceback", "core dumped", "F1")
RANK = re.compile(r"rank (\d+) of \d+ \(host")


class Part:
    """What was tried, and what went wrong."""

    def __init__(self, name: str) -> None:
        self.name, self.tried, self.faults, self.seconds = name, 0, list[str](), list[float]()

    def expect(self, good: bool, words: str) -> None:
        """Note a fault unless all is good, and say so at once."""
        if not good:
            self.faults.append(words)
            print(f"{self.name}: {words}", file=sys.stderr, flush=True)

    def line(self) -> str:
        """Return the result in one line."""
        noticed = f", noticed after at most {max(self.seconds):.1f} s" if self.seconds else ""
        return f"{self.name:10} {self.tried:4} tried, {len(self.faults)} faults{noticed}"


class Launched:
    """`retrograd launch` with a command, whose processes can be found and struck."""

    def __init__(self, root: Path, processes: int, words: Sequence[str], env: dict[str, str] | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.processes, self.said = processes, root / f"said-{time.time_ns()}"
        command = [sys.executable, "-m", "retrograd", "launch", "-n", str(processes), "--", "train", *words, "-q"]
        with self.said.open("w") as stream:
            self.process = subprocess.Popen(command, stdout=stream, stderr=stream, env={**os.environ, **(env or {})})

    def rank(self, rank: int) -> int:
        """Return the number of the process of a rank."""
        wanted = f"RETROGRAD_RANK={rank}".encode()
        while self.process.poll() is None:
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:
                with contextlib.suppress(OSError):
                    if wanted in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                        return int(child)
            time.sleep(0.01)
        raise ProcessLookupError(f"rank {rank}: {self.said.read_text()}")

    def wait(self, seconds: float) -> int | None:
        """Return the exit code; None where it has not ended."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return None


def settings(example: str, changes: Sequence[str]) -> list[str]:
    """Return the words of a command line."""
    return [str(EXAMPLES / f"{example}.yaml"), *(word for change in changes for word in ("--set", change))]


def losses(folder: Path) -> list[float]:
    """Return the losses of a run's epochs."""
    return [event["loss"] for event in events(folder) if event["kind"] == "epoch"]


def events(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a run's events."""
    with contextlib.suppress(OSError):
        for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                yield json.loads(line)


def has_come(folder: Path, phase: str) -> bool:
    """Return whether a run has come to a phase."""
    if phase == "start":
        return True
    if phase == "checkpoint":
        return any(folder.glob("checkpoints/*"))
    name = {"compile": "compiling", "step": "training", "end": "finishing"}[phase]
    return any(event["kind"] == "phase" and name in event.values() for event in events(folder))


def apart(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the largest difference of two lists of losses."""
    if len(one) != len(other) or not one:
        return float("inf")
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


# ------------------------------------------------------------------------------------------------------------ parts


def equal(root: Path, given: argparse.Namespace) -> Part:
    """Compare the losses of 1, 2 and 4 processes."""
    part = Part("equal")
    for name, (example, changes) in PROGRAMS.items():
        found: dict[str, list[float]] = {}
        for label, processes in (("1", 1), ("2", 2), ("2 again", 2), ("4", 4), (DEVICES, 1)):
            folder = root / f"{name}-{label}"
            more = ["distributed={}"] if label == DEVICES else []
            env = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"} if label == DEVICES else {}
            run = Launched(root, processes, [*settings(example, [*changes, *more]), "--run", str(folder)], env)
            part.expect(run.wait(1200) == 0, f"{name}, {label}: {run.said.read_text()}")
            found[label] = losses(folder)
            part.tried += 1
        differences = {label: apart(found["1"], found[label]) for label in ("2", "4")}
        print(f"  {name}: 1 against 2 and 4 processes: {differences}", flush=True)
        part.expect(max(differences.values()) <= EQUAL, f"{name}: {found}")
        part.expect(found["2"] == found["2 again"], f"{name}: a repetition has other bits")
        part.expect(found["2"] == found[DEVICES], f"{name}: one process with two devices has other bits")
    return part


def kill(root: Path, given: argparse.Namespace) -> Part:
    """Kill each rank in each phase."""
    part = Part("kill")
    for phase in PHASES:
        for rank in range(given.processes):
            changes = LONG if phase != "end" else [*LONG, "training.epochs=3"]
            strike(part, root / f"{phase}-{rank}", rank, phase, signal.SIGKILL, changes, given)
    return part


def stop(root: Path, given: argparse.Namespace) -> Part:
    """Stop each rank while it trains."""
    part = Part("stop")
    for rank in range(given.processes):
        strike(part, root / f"stop-{rank}", rank, "step", signal.SIGSTOP, LONG, given)
    return part


def strike(
    part: Part, root: Path, rank: int, phase: str, number: int, changes: Sequence[str], given: argparse.Namespace
) -> None:
    """Send a signal to a rank once the run has come to a phase, and look at what is left."""
    folder, where = root / "run", f"rank {rank} in phase {phase}"
    words = [*settings("digits", changes), "--set", f"distributed.timeout={given.timeout}", "--run", str(folder)]
    run = Launched(root, given.processes, words)
    struck = run.rank(rank)
    while not has_come(folder, phase) and run.process.poll() is None:
        time.sleep(0.005)
    begun = time.monotonic()
    with contextlib.suppress(ProcessLookupError):
        os.kill(struck, number)
    code = run.wait(SOON)
    part.seconds.append(time.monotonic() - begun)
    part.tried += 1
    said = run.said.read_text()
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    part.expect(code is not None, f"{where}: still there after {SOON:g} s: {said}")
    if phase == "end" and code == 0:
        return  # it was over already
    part.expect(code not in (0, None), f"{where}: exit code {code}")
    part.expect(len(errors) == 1, f"{where}: {len(errors)} messages: {said}")
    part.expect(RANK.findall(errors[0] if errors else "") == [str(rank)], f"{where}: not named: {said}")
    part.expect(not any(dump in said for dump in DUMPS), f"{where}: a dump: {said}")
    whole(part, folder, where)


def whole(part: Part, folder: Path, where: str) -> None:
    """Read the newest checkpoint, if there is one."""
    from retrograd.record.checkpoint import checkpoint_paths, read_checkpoint

    for path in checkpoint_paths(folder)[:1]:
        try:
            read_checkpoint(path)
        except Exception as error:
            part.expect(False, f"{where}: {path}: {error}")


def differs(root: Path, given: argparse.Namespace) -> Part:
    """Give rank 1 another configuration, and other data."""
    from retrograd.distributed.launch import free_port

    part = Part("differs")
    root.mkdir(parents=True)
    table = [f"{i},{i % 7},{i % 3}" for i in range(200)]
    (root / "one.csv").write_text("\n".join(["a,b,y", *table]) + "\n")
    (root / "other.csv").write_text("\n".join(["a,b,y", *table[:-1], "0,0,0"]) + "\n")
    for name, own in (("configuration", ["--set", "training.seed=1"]), ("data", ["--set", "data.path=other.csv"])):
        (root / "c.yaml").write_text(
            "data: {path: one.csv, target: y, task: multiclass}\nnetwork: [{dense: classes}]\n"
        )
        address = f"127.0.0.1:{free_port()}"
        begun, running = time.monotonic(), []
        for rank in range(2):
            env = {"RETROGRAD_COORDINATOR": address, "RETROGRAD_PROCESSES": "2", "RETROGRAD_RANK": str(rank)}
            words = ["train", str(root / "c.yaml"), "--run", str(root / name), *(own if rank else [])]
            running.append(subprocess.Popen([sys.executable, "-m", "retrograd", *words], env={**os.environ, **env},
                                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))  # fmt: skip
        said = "".join(process.communicate(timeout=300)[1] for process in running)
        part.tried += 1
        part.seconds.append(time.monotonic() - begun)
        print(f"  {said.strip()}", flush=True)
        part.expect(all(process.returncode == 6 for process in running), f"{name}: {said}")
        part.expect(said.count("error:") == 1 and RANK.findall(said) == ["1"] and name in said, f"{name}: {said}")
        part.expect(not (root / name).exists(), f"{name}: a run folder was made")
    return part


def elastic(root: Path, given: argparse.Namespace) -> Part:
    """Go on with another number of processes."""
    part = Part("elastic")
    changes = ["training.epochs=12", "training.checkpoint={seconds: 0, keep: 2}", SGD]
    plain = root / "plain"
    part.expect(Launched(root, 1, [*settings("digits", changes), "--run", str(plain)]).wait(600) == 0, "undisturbed")
    folder = root / "elastic"
    for number, processes in enumerate((2, 1, 2)):
        more = ["--resume", "auto"] if number else []
        run = Launched(root, processes, [*settings("digits", changes), "--run", str(folder), *more])
        last, epochs = number == 2, 4 * (number + 1)
        while not last and len(losses(folder)) < epochs and run.process.poll() is None:
            time.sleep(0.005)
        if not last:
            with contextlib.suppress(ProcessLookupError):
                os.kill(run.rank(0), signal.SIGKILL)
        code = run.wait(600)
        part.tried += 1
        part.expect((code == 0) == last, f"{processes} processes, start {number}: {code}: {run.said.read_text()}")
    difference = apart(losses(plain), losses(folder))
    print(f"  2 -> 1 -> 2 processes against 1: {difference:.2g}", flush=True)
    part.expect(difference <= EQUAL, f"losses differ by {difference}")
    return part


def fsdp(root: Path, given: argparse.Namespace) -> Part:
    """Cut parameters among the devices."""
    part = Part("fsdp")
    network = (
        "network=[{dense: {units: 512, activation: relu}}, {dense: {units: 512, activation: relu}}, {dense: classes}]"
    )
    changes = [network, "training.epochs=2", "training.batch_size=64", SGD]
    rule = "distributed={shard: [['*/weight', [data]], ['*', [data]]]}"
    found = {}
    for label, more in (("whole", []), ("cut", [rule])):
        folder = root / label
        run = Launched(root, given.processes, [*settings("digits", [*changes, *more]), "--run", str(folder)])
        part.expect(run.wait(900) == 0, f"{label}: {run.said.read_text()}")
        part.tried += 1
        found[label] = losses(folder)
        seconds = [event["seconds"] for event in events(folder) if event["kind"] == "epoch"]
        print(f"  {label}: {seconds[-1] - seconds[0]:.2f} s an epoch", flush=True)
    difference = apart(found["whole"], found["cut"])
    print(f"  losses differ by {difference:.2g}", flush=True)
    part.expect(difference <= EQUAL, f"losses differ by {difference}")
    return part


PARTS = {"equal": equal, "kill": kill, "stop": stop, "differs": differs, "elastic": elastic, "fsdp": fsdp}


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    parts = []
    with tempfile.TemporaryDirectory() as root:
        for name in given.only or list(PARTS):
            parts.append(PARTS[name](Path(root) / name, given))
            print(parts[-1].line(), flush=True)
    if given.json:
        facts = {part.name: {"tried": part.tried, "faults": part.faults, "seconds": part.seconds} for part in parts}
        given.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    sys.exit(any(part.faults for part in parts))


if __name__ == "__main__":
    main()
