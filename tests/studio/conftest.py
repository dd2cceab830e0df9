"""Shared by the studio's tests: a client that calls the application without a network, and a folder of runs."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

pytest.importorskip("starlette", reason="the extra `studio` is not installed")

from retrograd.record.events import Epoch, Started, Stopped
from retrograd.record.writer import RunWriter
from retrograd.studio.answers import OWN, Studio
from retrograd.studio.bench import Bench
from retrograd.studio.jobs import Jobs
from retrograd.studio.routes import application

PORT, TOKEN = 8471, "t" * 43
XOR = "name: xor\ndata: xor\nnetwork:\n  - dense: {units: 2, activation: tanh}\n  - dense: 1\ntraining: {epochs: 3, batch_size: 4}\n"


class Answer:
    """Status, headers and body of a response."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


class Client:
    """Calls an application as a server would."""

    def __init__(self, app, studio):
        self.app, self.studio = app, studio

    def call(self, method, path, body=b"", headers=(), *, token=TOKEN, host=f"127.0.0.1:{PORT}"):
        sent = []
        path, _, query = path.partition("?")
        pairs = [("host", host)] * (host is not None) + [("content-length", str(len(body)))]
        pairs += [("authorization", f"Bearer {token}")] * (token is not None) + list(headers)
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in pairs],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", PORT),
        }  # fmt: skip
        parts = [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]

        async def receive():
            return parts.pop(0)

        async def send(message):
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, content)

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, json.dumps(body or {}).encode(), **options)


class Refusing(Bench):
    """A bench that records its requests and starts no process."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def ask(self, verb, **arguments):
        self.asked.append((verb, arguments))
        return {"text": XOR}


class Idle(Jobs):
    """A queue whose jobs never start."""

    def _next(self):
        pass


@pytest.fixture
def client(tmp_path):
    (tmp_path / "data").mkdir()
    root = tmp_path / "runs"
    root.mkdir()
    studio = Studio(root, tmp_path / "data", Refusing(), Idle(root / OWN / "jobs"))
    return Client(application(studio, port=PORT, token=TOKEN), studio)


@pytest.fixture
def write(client):
    """Return a function that adds a run to the folder."""

    def write_run(name="xor", epochs=3, config=XOR, stopped=True):
        with RunWriter.create(client.studio.root, name, clock=lambda: datetime(2031, 5, 1, 9, 30, tzinfo=UTC)) as run:
            run.write_config(config)
            run.record(Started(name, "binary", 0, epochs=epochs))
            for number in range(1, epochs + 1):
                run.record(
                    Epoch(number, number, 1 / number, {"train": {"loss": 1 / number, "accuracy": 0.75}}, 0.1, 1.0)
                )
            if stopped:
                run.record(Stopped("epochs", epochs, epochs, epochs, 1.0, "ab", {"train": {"accuracy": 0.75}}))
        return run.path

    return write_run
