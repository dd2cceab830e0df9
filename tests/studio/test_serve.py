"""The command, its processes, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from retrograd.base.errors import ResourceError, RetrogradError, UsageError
from retrograd.studio import bench as bench_module
from retrograd.studio.bench import Bench, BenchError
from retrograd.studio.jobs import Jobs
from retrograd.studio.serve import stored_token, taken


@pytest.fixture
def started(tmp_path):
    """A studio in its own process, and what it printed."""
    command = [sys.executable, "-m", "retrograd", "studio", str(tmp_path / "runs"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path)
    yield process, json.loads(process.stdout.readline())
    process.terminate()
    process.wait(10)
    process.stdout.close()


def response_to(facts, path, token=None):
    request = urllib.request.Request(facts["url"] + path, headers={"Authorization": f"Bearer {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.read()


def test_the_command_prints_one_line_and_answers(started, tmp_path):
    process, facts = started
    assert facts["process"] == process.pid
    assert b"retrograd studio" in response_to(facts, "")
    assert json.loads(response_to(facts, "api/runs", facts["token"])) == {"runs": [], "jobs": []}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        response_to(facts, "api/runs")
    assert facts["token"] not in Path(f"/proc/{process.pid}/cmdline").read_text()
    assert os.stat(tmp_path / "runs" / ".studio" / "token").st_mode & 0o777 == 0o600
    process.send_signal(signal.SIGINT)
    assert process.wait(10) in (0, 130)


def test_a_token_that_others_can_read_is_refused(tmp_path):
    token = stored_token(tmp_path)
    assert len(token) >= 43
    assert stored_token(tmp_path) == token  # open pages continue
    (tmp_path / "token").chmod(0o644)
    with pytest.raises(ResourceError, match="only you can read"):
        stored_token(tmp_path)
    (tmp_path / "token").unlink()
    (tmp_path / "token").symlink_to("/etc/hostname")
    with pytest.raises(RetrogradError):
        stored_token(tmp_path)


def test_a_port_that_is_in_use_or_invalid_is_refused():
    with taken(None) as listener, pytest.raises(UsageError, match="the port is taken"):
        taken(listener.getsockname()[1])
    with pytest.raises(UsageError, match="at most 65535"):
        taken(70000)


def test_jobs_run_one_after_the_other_in_their_own_sessions(tmp_path):
    jobs = Jobs(tmp_path / "jobs")
    first = jobs.begin("diagnose", "a", ["--version"])
    second = jobs.begin("train", "b", ["nothing"])
    assert (first.state, second.state) == ("running", "waiting")
    assert os.getsid(first.process.pid) == first.process.pid
    for job in (first, second):
        job.ended.wait(60)
    assert first.code == 0
    assert second.code == 2
    assert "unknown command" in second.plain()["said"]


XOR = "data: xor\nnetwork:\n  - dense: {units: 2, activation: tanh}\n  - dense: 1\n"


def test_the_bench_explains_and_refuses():
    bench = Bench()
    try:
        facts = bench.ask("explain", text=XOR)
        assert [node["path"] for node in facts["nodes"]] == ["dense_1", "dense_1/tanh", "dense_2"]
        assert facts["lines"]["network.1"] == 4
        assert facts["totals"]["parameters"] == 9
        with pytest.raises(BenchError, match=r"config\.yaml:4.*dens"):
            bench.ask("explain", text=XOR.replace("- dense: 1", "- dens: 1"))
    finally:
        bench.close()
    assert bench.process is None


@pytest.mark.parametrize(
    ("command", "words"),
    [("raise SystemExit", "the computing process has died"), ("import time; time.sleep(60)", "longer than 0.2 s")],
)
def test_a_bench_that_dies_or_hangs_is_replaced(monkeypatch, command, words):
    bench = Bench(seconds=0.2)
    monkeypatch.setattr(bench_module, "COMMAND", command)
    with pytest.raises(BenchError, match=words):
        bench.ask("explain", text="")
    assert bench.process is None
    echo = """import sys\nfor line in sys.stdin: print('{"answer": 1}', flush=True)"""
    monkeypatch.setattr(bench_module, "COMMAND", echo)
    bench.seconds = 60
    assert bench.ask("explain", text="") == 1
    os.kill(bench.process, signal.SIGKILL)
    bench._process.wait()
    assert bench.ask("explain", text="") == 1  # by a new one
    bench.close()
