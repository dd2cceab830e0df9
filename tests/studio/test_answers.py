from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from retrograd.base.errors import UsageError
from retrograd.record.writer import RunWriter
from retrograd.studio import shelf
from retrograd.studio.paths import changes_for
from tests.studio.conftest import XOR


def test_the_server_loads_neither_jax_nor_numpy():
    code = "import sys, retrograd.studio.serve, retrograd.app.cli.verbs.studio; print([m for m in ('jax', 'jaxlib', 'numpy', 'optax', 'sklearn', 'polars') if m in sys.modules])"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------------------------- reading


def test_the_list_shows_the_state_of_each_run(client, write):
    write("first")
    write("second", stopped=False)
    (client.studio.root / "no-run").mkdir()
    (client.studio.root / ".hidden").mkdir()
    runs = {run["name"]: run for run in client.get("/api/runs").json["runs"]}
    assert set(runs) == {"first", "second"}
    assert (runs["first"]["state"], runs["first"]["planned"], runs["first"]["score"]["value"]) == ("finished", 3, 0.75)
    assert runs["second"]["state"] == "interrupted"
    assert [epoch for epoch, _ in runs["first"]["curve"]] == [1, 2, 3]


def test_a_run_in_training_is_shown_as_running(client, write):
    path = write("xor", stopped=False)
    with RunWriter.resume(path):
        assert client.get("/api/runs").json["runs"][0]["state"] == "running"
        assert client.post(f"/api/runs/{path.name}/diagnose").status == 409
        assert client.post(f"/api/runs/{path.name}/stop").status == 200
        assert (path / "stop").exists()
    assert client.get("/api/runs").json["runs"][0]["state"] == "interrupted"
    assert client.post(f"/api/runs/{path.name}/stop").status == 400  # it is not training


def test_a_summary_is_read_again_only_when_the_log_changed(client, write, monkeypatch):
    path = write("xor", stopped=False)
    reads = []
    original = shelf.row_of
    monkeypatch.setattr(shelf, "row_of", lambda path: reads.append(path) or original(path))
    client.get("/api/runs")
    client.get("/api/runs")
    assert len(reads) == 1
    with open(path / "events.jsonl", "ab") as stream:
        stream.write(b'{"kind":"note","text":"more","time":null}\n')
    client.get("/api/runs")
    assert len(reads) == 2


def test_events_are_followed_from_an_offset(client, write):
    path = write("xor")
    head, *lines = client.get(f"/api/runs/{path.name}/events").body.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["started", "epoch", "epoch", "epoch", "stopped"]
    place = json.loads(head)["place"]
    head, *lines = client.get(f"/api/runs/{path.name}/events?place={place}").body.splitlines()
    assert (lines, json.loads(head)["again"]) == ([], False)
    assert client.get(f"/api/runs/{path.name}/events?place=../x").status == 400


@pytest.mark.parametrize("name", ["..", "../runs", "%2e%2e", "xor/../..", ".studio", "nothing", "a\0b"])
def test_the_name_of_no_run_is_not_found(client, write, name):
    write("xor")
    assert client.get(f"/api/runs/{name}").status == 404


def test_links_to_runs_elsewhere_are_ignored(client, write, tmp_path):
    path = write("xor")
    os.rename(path, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", path)
    assert client.get("/api/runs").json["runs"] == []
    assert client.get(f"/api/runs/{path.name}").status == 404


def test_a_damaged_run_is_listed_with_its_problem(client, write):
    path = write("xor")
    (path / "events.jsonl").write_text("no event\n")
    (run,) = client.get("/api/runs").json["runs"]
    assert run["state"] == "unreadable"
    assert "events.jsonl:1" in run["problem"]


def test_a_run_is_sent_with_its_configuration_and_findings(client, write):
    path = write("xor")
    run = client.get(f"/api/runs/{path.name}").json
    assert run["config"] == XOR
    assert run["settings"]["training.epochs"] == "3"
    assert run["diagnosis"] is None


# --------------------------------------------------------------------------------------------------------------- doing


def test_a_training_run_is_queued_with_its_own_folder(client):
    first, second = (client.post("/api/train", {"text": XOR}).json for _ in range(2))
    assert first["run"] != second["run"]
    job = client.studio.jobs.jobs[0]
    assert job.arguments[0] == "train"
    assert job.arguments[job.arguments.index("--run") + 1] == str(client.studio.root / first["run"])
    assert (client.studio.own / "configurations" / f"{first['run']}.yaml").read_text() == XOR
    waiting = client.get(f"/api/runs/{first['run']}").json
    assert waiting["state"] == "starting"
    assert client.post(f"/api/runs/{first['run']}/stop").status == 200  # out of the queue
    assert [job.run for job in client.studio.jobs.jobs] == [second["run"]]


def test_an_error_in_a_configuration_names_its_place(client):
    answer = client.post("/api/train", {"text": "network: [\n"})
    assert answer.status == 400
    assert "config.yaml:" in answer.json["problems"][0]["where"]


@pytest.mark.parametrize(
    "data", ["/etc/passwd", "../secret.csv", "inside/../../secret.csv", "link.csv", "/etc/*.csv", "link/x.csv"]
)
def test_data_outside_the_folder_are_refused(client, tmp_path, data):
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    os.symlink(tmp_path / "secret.csv", tmp_path / "data" / "link.csv")
    os.symlink(tmp_path, tmp_path / "data" / "link")
    for setting in ("path", "valid_path", "test_path"):
        text = f"data: {{{setting}: '{data}'}}\nnetwork: [dense: 1]\n"
        for path, status in (("/api/explain", 200), ("/api/train", 400)):
            answer = client.post(path, {"text": text})
            assert answer.status == status
            assert "outside the data folder" in answer.json["problems"][0]["message"]
    answer = client.post("/api/train", {"text": f"weights: {{path: '{tmp_path}'}}\nnetwork: [dense: 1]\n"})
    assert "outside the data folder" in answer.json["problems"][0]["message"]
    assert client.studio.bench.asked == []


def test_data_below_the_folder_become_absolute(tmp_path):
    (tmp_path / "house.csv").touch()
    values = {"data": {"path": "house.csv", "target": "price"}, "weights": {"path": "gpt2"}}
    below = tmp_path.resolve()
    assert changes_for(values, (below,), {}) == [f"data.path={below}/house.csv", f"weights.path={below}/gpt2"]


def test_a_run_whose_data_are_outside_the_folder_is_shown_but_not_computed(client, write):
    path = write("foreign", config="data: {path: /etc/passwd}\nnetwork: [dense: 1]\n")
    assert client.get(f"/api/runs/{path.name}").status == 200
    body = {"remedy": "widen", "key": "grad:w[0]", "steps": [0], "stop": {"phase": "input", "node": "", "title": ""}}
    for verb in ("trace", "arrays", "cell", "plane", "diagnose", "repair", "resume", "remedy", "short"):
        assert client.post(f"/api/runs/{path.name}/{verb}", body).status == 400
    assert client.studio.bench.asked == []
    assert client.studio.jobs.jobs == []


def test_weights_are_sent_as_stored_from_an_offset_on(client, write):
    path = write("xor")
    address = f"/api/runs/{path.name}/weights"
    assert client.get(address).body == b""
    (path / "weights.bin").write_bytes(b"header\n0123")
    assert client.get(f"{address}?after=7").body == b"0123"
    assert json.loads(client.get(f"/api/runs/{path.name}/events").body.splitlines()[0])["weights"] == 11
    assert client.get(f"{address}?after=x").status == 400


def test_a_start_is_the_name_of_a_run(tmp_path):
    runs = {"20310501-093000-xor": tmp_path / "20310501-093000-xor"}
    values = {"training": {"start": "20310501-093000-xor"}}
    assert changes_for(values, (tmp_path,), runs) == [f"training.start={tmp_path}/20310501-093000-xor"]
    with pytest.raises(UsageError, match="not a run of this studio"):
        changes_for({"training": {"start": "/elsewhere/run"}}, (tmp_path,), runs)


def test_uploads_get_names_chosen_by_the_server(client):
    made = client.call("POST", "/api/uploads?name=../../evil name.csv", b"a,b\n1,2\n").json
    assert made["file"].startswith("evil-name-")
    assert (client.studio.roots[1] / made["file"]).read_bytes() == b"a,b\n1,2\n"
    assert client.call("POST", "/api/uploads?name=x.py", b"").status == 400
    assert client.post("/api/table", {"file": "../token"}).status == 400
    assert client.post("/api/table", {"file": made["file"]}).status == 200


def test_a_malformed_request_is_refused(client, write):
    path = write("xor")
    assert client.call("POST", "/api/explain", b"no json").status == 400
    assert client.call("POST", "/api/explain", b"[1]").status == 400
    assert client.post("/api/explain", {}).status == 400
    assert client.post(f"/api/runs/{path.name}/trace", {"edits": {"x[0,0]": "much"}}).status == 400
