"""What happens to training, and to an open page, when the studio is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request

import retrograd as rg
from retrograd.record.events import Epoch, Stopped, read_events

EPOCHS = 2000
CONFIG = f"""name: xor
data: xor
network:
  - dense: {{units: 2, activation: tanh}}
  - dense: 1
optimizer: {{sgd: {{learning_rate: 0.5, momentum: 0.9}}}}
training: {{epochs: {EPOCHS}, batch_size: 4}}
"""
PATIENCE = 120  # seconds; a busy machine compiles slowly


def start(folder):
    command = [sys.executable, "-m", "retrograd", "studio", str(folder / "runs"), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=folder, start_new_session=True)
    return process, json.loads(process.stdout.readline())


def call(facts, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {facts['token']}", "Content-Type": "application/json"}
    request = urllib.request.Request(facts["url"] + path, data, headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()


def until(condition):
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)
    return value


def test_training_outlives_the_studio_and_is_shown_completely_when_it_is_back(tmp_path):
    process, facts = start(tmp_path)
    run = json.loads(call(facts, "api/train", {"text": CONFIG}))["run"]
    log = tmp_path / "runs" / run / "events.jsonl"
    until(lambda: log.exists() and b'"phase"' in log.read_bytes())
    head, *before = call(facts, f"api/runs/{run}/events").splitlines()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    last = until(lambda: next((e for e in read_events(log) if isinstance(e, Stopped)), None))

    back, again = start(tmp_path)
    try:
        assert again["token"] == facts["token"]  # an open page continues
        _, *after = call(again, f"api/runs/{run}/events?place={json.loads(head)['place']}").splitlines()
    finally:
        os.killpg(back.pid, signal.SIGTERM)
        back.wait(20)
        back.stdout.close()
    events = [json.loads(line) for line in (*before, *after)]
    assert [event["epoch"] for event in events if event["kind"] == "epoch"] == list(range(1, EPOCHS + 1))
    assert (last.reason, last.epoch) == ("epochs", EPOCHS)

    (tmp_path / "xor.yaml").write_text(CONFIG)
    undisturbed = rg.train(tmp_path / "xor.yaml", folder=tmp_path / "undisturbed")
    ended = [e for e in read_events(undisturbed.folder / "events.jsonl") if isinstance(e, (Epoch, Stopped))]
    assert ended[-1].weights == last.weights
