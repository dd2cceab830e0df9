"""The studio's waiting times, in a browser, beside what they are meant to be.

    python benchmarks/bench_studio.py [--only PART ...] [--minutes N] [--json FILE]

Every part starts a studio of its own in a temporary folder: `start`, `list`, `draw`, `follow`, `edit`, `bench`, and
with `--minutes` also `growth`, which follows a run for so long. Needs Playwright, Debian's chromium and a machine that
does nothing else: the figures are times by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from retrograd.record.events import Epoch, Health, Started, Stopped, write_event
from retrograd.studio.answers import EXAMPLES

CHROMIUM = "/usr/bin/chromium"
RUNS, EPOCHS, LONG = 200, 2000, 10_000
FRAMES = 240
WINDOW = 10.0  # seconds of training that are compared, with and without somebody who follows
ROUNDS = 3
EDITS = 20
TARGETS = {
    "start line, s": 1.0, "server, MiB": 60, "first contentful paint, s": 1.0, "list of runs, s": 0.5,
    "10,000 epochs drawn, s": 1.0, "frame of scrubbing, 95 %, ms": 17, "event to page, median, s": 0.25,
    "event to page, longest, s": 0.5, "cost of following, share": 0.02, "edit of xor, s": 0.3, "edit of digits, s": 0.5,
    "bench killed to its answer, s": 5.0, "growth of the page, MiB": 20, "growth of the server, MiB": 20,
}  # fmt: skip
# Notes how long ago the newest event was recorded when its page has been drawn.
LISTEN = """
const ask = window.fetch;
window.delays = [];
window.fetch = async (...request) => {
  const response = await ask(...request);
  if (String(request[0]).includes("/events?")) {
    response.clone().text().then((text) => {
      const lines = text.split("\\n").slice(1).filter(Boolean);
      if (!lines.length) return;
      const then = Date.parse(JSON.parse(lines[lines.length - 1]).time);
      requestAnimationFrame(() => requestAnimationFrame(() => window.delays.push(Date.now() - then)));
    });
  }
  return response;
};
"""
SCRUB = """async (frames) => {
  const slider = document.querySelector(".scrub input"), times = [];
  let last = null;
  for (let i = 0; i < frames; i += 1) {
    const now = await new Promise(requestAnimationFrame);
    if (last !== null) times.push(now - last);
    last = now;
    slider.value = Math.round(Number(slider.max) * (0.5 + 0.5 * Math.sin(i / 12)));
    slider.dispatchEvent(new Event("input"));
  }
  return times;
}"""
EDIT = """async (value) => {
  const field = document.querySelector(".editor input[type=number]"), begin = performance.now();
  const drawn = new Promise((done) => new MutationObserver((_, observer) => {
    observer.disconnect();
    requestAnimationFrame(done);
  }).observe(document.querySelector(".stepbar"), { childList: true, subtree: true }));
  field.value = value;
  field.dispatchEvent(new Event("change"));
  await drawn;
  return performance.now() - begin;
}"""


class Studio:
    """A studio of its own process, and what it printed."""

    def __init__(self, folder: Path) -> None:
        begin = time.perf_counter()
        command = [sys.executable, "-m", "retrograd", "studio", str(folder / "runs"), "--json"]
        environment = {**os.environ, "NO_PROXY": "*"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, env=environment)
        assert self.process.stdout is not None
        self.facts = json.loads(self.process.stdout.readline())
        self.seconds = time.perf_counter() - begin
        self.url = self.facts["url"]

    def ask(self, path: str, body: Any = None) -> Any:
        """Return what the studio answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.facts['token']}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=300) as response:
            return json.loads(response.read())

    def open(self, page: Page, address: str, there: str) -> float:
        """Load the page at an address anew; return the seconds until something is there."""
        page.goto("about:blank")
        page.goto(f"{self.url}#token={self.facts['token']}")
        page.locator(".bar a").first.wait_for()
        page.goto("about:blank")
        begin = time.perf_counter()
        page.goto(f"{self.url}#{address}")
        page.locator(there).first.wait_for()
        return time.perf_counter() - begin

    @property
    def mebibytes(self) -> float:
        """The server's memory."""
        return resident(self.process.pid)


def resident(process: int) -> float:
    """Return the memory of a process, in MiB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@contextmanager
def studio_of(prepare: Callable[[Path], object] = lambda runs: None) -> Iterator[Studio]:
    """Give a studio of a new folder, whose runs were written before."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        runs = Path(name) / "runs"
        runs.mkdir()
        prepare(runs)
        studio = Studio(Path(name))
        try:
            yield studio
        finally:
            for job in studio.ask("api/state")["jobs"]:
                if job["state"] == "running":
                    (runs / job["run"] / "stop").touch()
            studio.process.terminate()
            studio.process.wait(20)
            time.sleep(2)  # the trainings that were asked to stop


def write_run(folder: Path, epochs: int) -> None:
    """Write the log of a run that was trained for so long."""
    folder.mkdir()
    (folder / "config.yaml").write_text("data: xor\nnetwork:\n  - dense: 2\n  - dense: 1\n")
    events: list[Any] = [Started(folder.name, "binary", 0, epochs=epochs, steps=4 * epochs)]
    for number in range(1, epochs + 1):
        scores = {"valid": {"loss": 1.2 / number, "accuracy": 1 - 0.5 / number}}
        events.append(Epoch(number, 4 * number, 1 / number, scores, 0.1, 0.01 * number))
        if number % (epochs // 200 or 1) == 0:
            layers = {f"dense_{i}": 1.0 / number for i in range(8)}
            events.append(Health(4 * number, {"output_rms": layers, "delta_rms": layers}))
    events.append(Stopped("epochs", 4 * epochs, epochs, epochs, 0.01 * epochs, "ab", scores, "all epochs done"))
    (folder / "events.jsonl").write_bytes(b"".join(map(write_event, events)))


def trained(example: str, epochs: int) -> Callable[[Path], None]:
    """Return what trains an example into a folder of runs."""

    def train(runs: Path) -> None:
        config = next(EXAMPLES.glob(f"*-{example}.yaml"))
        command = [sys.executable, "-m", "retrograd", "train", str(config), "--run", str(runs / example), "-q"]
        subprocess.run([*command, "--epochs", str(epochs)], check=True, capture_output=True)

    return train


# --------------------------------------------------------------------------------------------------------------- parts


def start(browser: Browser) -> dict[str, float]:
    """Measure the command until it answers, and the first paint of each screen."""
    measured: dict[str, float] = {}
    with studio_of(trained("xor", 200)) as studio:
        page = browser.new_page()
        paints = {}
        for name, address, there in [
            ("runs", "runs", ".item"), ("new", "new/1-xor", ".layer"), ("course", "run/xor", ".curve"),
            ("step", "run/xor/step", ".stepbar"), ("doctor", "run/xor/doctor", ".ask-doctor"),
            ("predict", "run/xor/predict", ".body .card"), ("compare", "compare/xor,xor", ".chart"),
        ]:  # fmt: skip
            studio.open(page, address, there)
            paints[name] = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000
        measured = {"start line, s": studio.seconds, "server, MiB": studio.mebibytes,
                    "first contentful paint, s": max(paints.values())}  # fmt: skip
        measured |= {f"first contentful paint of {name}, s": seconds for name, seconds in paints.items()}
        maps = Path(f"/proc/{studio.process.pid}/maps").read_text()
        measured["server has jax"] = float("jaxlib" in maps)
        page.close()
    return measured


def list_runs(browser: Browser) -> dict[str, float]:
    """Measure a list of many long runs, read for the first time and again."""

    def write(runs: Path) -> None:
        write_run(runs / "run-000", EPOCHS)
        for number in range(1, RUNS):
            shutil.copytree(runs / "run-000", runs / f"run-{number:03}")

    with studio_of(write) as studio:
        times = []
        for _ in range(2):
            begin = time.perf_counter()
            assert len(studio.ask("api/runs")["runs"]) == RUNS
            times.append(time.perf_counter() - begin)
        page = browser.new_page()
        shown = studio.open(page, "runs", f".item:nth-of-type({RUNS})")
        page.close()
    return {"list of runs, s": times[0], "list of runs again, s": times[1], "list of runs on the page, s": shown}


def draw(browser: Browser) -> dict[str, float]:
    """Measure how long a long run takes to be drawn, and the frames while its slider moves."""
    with studio_of(lambda runs: write_run(runs / "long", LONG)) as studio:
        page = browser.new_page()
        seconds = studio.open(page, "run/long", ".curve")
        page.locator(".spine").first.wait_for()
        frames = sorted(page.evaluate(SCRUB, FRAMES))
        page.close()
    return {f"{LONG:,} epochs drawn, s": seconds, "frame of scrubbing, 95 %, ms": frames[int(0.95 * len(frames))]}


def follow(browser: Browser) -> dict[str, float]:
    """Measure how late events are on the page, and what it costs the training that somebody follows."""
    config = next(EXAMPLES.glob("*-digits.yaml")).read_text()
    with studio_of() as studio:
        run = studio.ask("api/train", {"text": config.replace("epochs: ", "epochs: 1000000  # ", 1)})["run"]
        log = next(Path(f"/proc/{studio.process.pid}/cwd").resolve().glob("runs")) / run / "events.jsonl"
        while not (log.exists() and b'"kind":"epoch"' in log.read_bytes()):
            time.sleep(0.2)
        page = browser.new_page()
        page.add_init_script(LISTEN)
        shares, delays = [], []
        for _ in range(ROUNDS):
            page.goto("about:blank")
            alone = pace(log)
            studio.open(page, f"run/{run}", ".curve")
            page.wait_for_timeout(1000)
            page.evaluate("window.delays.length = 0")
            shares.append(1 - pace(log) / alone)
            delays += page.evaluate("window.delays")
        page.close()
    late = [delay / 1000 for delay in delays]
    return {"event to page, median, s": statistics.median(late), "event to page, longest, s": max(late),
            "cost of following, share": statistics.median(shares)}  # fmt: skip


def pace(log: Path) -> float:
    """Return the steps a second of a training, from now on."""
    points = []
    for wait in (WINDOW, 0.0):
        lines = [line for line in log.read_bytes().splitlines() if line.startswith(b'{"kind":"epoch"')]
        last = json.loads(lines[-1])
        points.append((last["step"], last["seconds"]))
        time.sleep(wait)
    (before, since), (after, now) = points
    return (after - before) / (now - since)


def edit(browser: Browser) -> dict[str, float]:
    """Measure a weight's edit until all numbers are there: on the page for xor, of the bench for digits."""
    measured = {}
    with studio_of(trained("xor", 20)) as studio:
        page = browser.new_page()
        studio.open(page, "run/xor/step", ".lossline")
        page.locator("g[data-weight]").first.click()
        page.locator(".editor input").first.wait_for()
        page.evaluate(EDIT, 0.5)  # compiles what edits need
        page.wait_for_timeout(3000)
        times = []
        for i in range(EDITS):
            times.append(page.evaluate(EDIT, 0.6 + 0.01 * i))
            page.wait_for_timeout(200)
        measured |= {"edit of xor, s": statistics.median(times) / 1000, "edit of xor, longest, s": max(times) / 1000}
        page.close()
    with studio_of(trained("digits", 2)) as studio:
        times = []
        for i in range(EDITS + 1):
            begin = time.perf_counter()
            studio.ask("api/runs/digits/trace", {"step": 2, "edits": {"dense_1/weight[0,0]": 0.01 * (i + 1)}})
            times.append(time.perf_counter() - begin)
        measured |= {"edit of digits, s": statistics.median(times[1:]), "edit of digits, longest, s": max(times[1:])}
    return measured


def kill_bench(browser: Browser) -> dict[str, float]:
    """Measure how long an answer takes after the bench was killed."""
    with studio_of(trained("xor", 20)) as studio:
        studio.ask("api/runs/xor/trace", {"step": 1})
        os.kill(studio.ask("api/state")["bench"], signal.SIGKILL)
        time.sleep(0.2)
        begin = time.perf_counter()
        try:
            studio.ask("api/runs/xor/form", {})
        except urllib.error.HTTPError:  # it died while it was asked
            studio.ask("api/runs/xor/form", {})
        return {"bench killed to its answer, s": time.perf_counter() - begin}


def growth(browser: Browser, minutes: float) -> dict[str, float]:
    """Measure how page and server grow while a run is followed."""
    config = next(EXAMPLES.glob("*-xor.yaml")).read_text()
    with studio_of() as studio:
        run = studio.ask("api/train", {"text": config.replace("epochs: ", "epochs: 100000000  # ", 1)})["run"]
        page = browser.new_page()
        studio.open(page, f"run/{run}", ".tiles, .soft")
        page.locator(".curve").first.wait_for(timeout=120_000)
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable")

        def heap() -> float:
            tools.send("HeapProfiler.collectGarbage")
            metrics = {metric["name"]: metric["value"] for metric in tools.send("Performance.getMetrics")["metrics"]}
            return float(metrics["JSHeapUsedSize"]) / 2**20

        page.wait_for_timeout(20_000)
        before, server = heap(), studio.mebibytes
        page.wait_for_timeout(minutes * 60_000)
        return {"growth of the page, MiB": heap() - before, "growth of the server, MiB": studio.mebibytes - server,
                "minutes followed": minutes}  # fmt: skip


PARTS: dict[str, Callable[[Browser], dict[str, float]]] = {
    "start": start, "list": list_runs, "draw": draw, "follow": follow, "edit": edit, "bench": kill_bench,
}  # fmt: skip


def main() -> None:
    """Measure what is asked for, and say which targets are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=0.0, help="how long a run is followed, for `growth`")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    chosen = parser.parse_args()
    measured: dict[str, float] = {}
    with sync_playwright() as program:
        browser = program.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name in chosen.only:
            measured |= show(PARTS[name](browser))
        if chosen.minutes:
            measured |= show(growth(browser, chosen.minutes))
        browser.close()
    if chosen.json:
        machine = {"processors": os.cpu_count(), "platform": platform.platform(), "python": platform.python_version()}
        result = {"machine": machine, "figures": measured, "targets": TARGETS}
        chosen.json.write_text(json.dumps(result, indent=2) + "\n")


def show(figures: dict[str, float]) -> dict[str, float]:
    """Print some figures beside their targets, and return them."""
    for name, value in figures.items():
        target = TARGETS.get(name)
        verdict = "" if target is None else f"  target {target:g}: {'met' if value <= target else 'MISSED'}"
        print(f"{name:<42}{value:>10.3f}{verdict}", flush=True)
    return figures


if __name__ == "__main__":
    main()
