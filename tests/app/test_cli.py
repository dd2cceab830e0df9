"""Stories from outside: what somebody types, and what they get."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import retrograd as rg
from retrograd.app.cli.main import BELOW, VERBS, main
from retrograd.app.cli.verbs.runs import command as runs_command
from retrograd.base.document import parse_document
from retrograd.present.numbers import aligned
from retrograd.present.tables import cut, table
from retrograd.record.run import RunFolder
from retrograd.record.tree import digest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
WIDTH = 80
HOUSES = "size,town,age,price\n" + "".join(
    f"{50 + i * 7 % 90},{['oslo', 'rome', 'bern'][i % 3]},{i * 5 % 40},{1000 * (50 + i * 7 % 90) - 300 * (i * 5 % 40)}\n"
    for i in range(60)
)
XOR = """\
name: xor
data: xor
network:
  - dense: {units: 3, activation: tanh}
  - dense: 1
optimizer: {adam: 0.1}
training: {epochs: 100, batch_size: 4}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table of houses, the configuration of xor, and a finished run of each."""
    folder = tmp_path_factory.mktemp("stories")
    (folder / "house.csv").write_text(HOUSES)
    (folder / "xor.yaml").write_text(XOR)
    network = [rg.Dense(4, "tanh"), rg.Dense("targets")]
    rg.fit(folder / "house.csv", target="price", network=network, epochs=3, name="house", root=folder / "runs")
    rg.train(folder / "xor.yaml", root=folder / "runs")
    return folder


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    folder = tmp_path / "place"
    shutil.copytree(trained, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    return folder


@pytest.fixture
def told(place, capsys):
    """Run a command that succeeds, and return what it prints."""

    def run(*arguments, err=False):
        assert main([str(each) for each in arguments]) == 0
        found = capsys.readouterr()
        return found if err else found.out

    return run


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def weights(run: Path) -> str:
    return digest(rg.load(run).variables.params)


# ------------------------------------------------------------------------------------------------------------- training


def test_a_configuration_is_trained_and_the_end_says_why_how_well_and_where(told, place):
    out, err = told("train", "xor.yaml", "--run", "R", err=True)
    assert re.search(r"finished all 100 epochs in [\d.]+ m?s", out)
    assert re.search(r"kept the weights of epoch \d+", out)
    assert re.search(r"accuracy +1\.0000", out)
    assert "next  retrograd runs show R" in out
    assert "xor: binary, rows: 4 train; 3 nodes, 13 parameters" in err
    assert len(re.findall(r"^epoch +\d+  loss", err, re.MULTILINE)) <= 21
    assert RunFolder.open(place / "R").summary().status == "finished"


def test_quiet_leaves_only_the_result(told):
    out, err = told("train", "xor.yaml", "--set", "training.epochs=2", "--quiet", err=True)
    assert err == ""
    assert out.startswith("finished all 2 epochs")


def test_a_network_no_better_than_a_constant_is_sent_to_its_diagnosis(told):
    out = told("train", "xor.yaml", "--epochs", "1", "--lr", "1e-9", "--run", "weak", "--quiet")
    assert out.rstrip().endswith("retrograd diagnose weak")


def test_settings_are_changed_from_the_command_line(told, place):
    told("train", "xor.yaml", "--set", "network.0.dense.units=5", "--set", "optimizer.sgd={learning_rate: 1.0}",
         "--set", "optimizer={sgd: {momentum: 0.5}}", "--lr", "0.25", "--epochs", "3", "--batch-size", "2",
         "--seed", "7", "--run", "R", "--quiet")  # fmt: skip
    kept = parse_document(RunFolder.open(place / "R").config_text()).values
    assert kept["network"][0]["dense"]["units"] == 5
    assert (kept["optimizer"]["sgd"]["learning_rate"], kept["optimizer"]["sgd"]["momentum"]) == (0.25, 0.5)
    assert kept["training"] | {"epochs": 3, "batch_size": 2, "seed": 7} == kept["training"]


def test_a_table_alone_is_trained_and_its_chosen_configuration_gives_the_same_run(told, place):
    options = ("--epochs", "2", "--lr", "0.01", "--set", "data.split.seed=3")
    out = told("train", "house.csv", "--target", "price", *options, "--run", "A")
    assert out.startswith("# chosen for house.csv, written to house.yaml: edit it, then run")
    chosen = (place / "house.yaml").read_text()
    assert chosen in out
    assert re.search(r"# .*hidden layer", chosen)
    told("train", "house.yaml", "--run", "B", "--quiet")
    assert weights(place / "A") == weights(place / "B")


def test_a_table_elsewhere_is_found_from_the_chosen_and_from_the_stored_configuration(told, place):
    (place / "there").mkdir()
    shutil.move(place / "house.csv", place / "there" / "house.csv")
    (place / "configs").mkdir()
    small = ("--epochs", "1", "--set", "network=[{dense: 2}, {dense: targets}]", "--quiet")
    told("train", "there/house.csv", "--target", "price", "--config-out", "configs/house.yaml", "--run", "A", *small)
    told("train", "configs/house.yaml", "--run", "B", "--quiet")
    told("train", "A/config.yaml", "--run", "C", "--quiet")
    assert weights(place / "A") == weights(place / "B") == weights(place / "C")


def test_a_chosen_configuration_overwrites_nothing(told, place):
    (place / "house.yaml").write_text("mine")
    small = ("train", "house.csv", "--epochs", "1", "--set", "network=[{dense: targets}]")
    out = told(*small)
    assert "written to house-2.yaml: edit it, then run" in out
    assert "# house.yaml already exists with other settings and was not changed" in out
    assert (place / "house.yaml").read_text() == "mine"
    chosen = (place / "house-2.yaml").read_text()
    assert "network" in chosen
    assert all(len(line) <= WIDTH for line in chosen.splitlines())
    assert "already in house-2.yaml" in told(*small)
    assert not (place / "house-3.yaml").exists()


def test_force_replaces_a_run(told, place):
    told("train", "xor.yaml", "--run", "R", "--epochs", "1", "--quiet")
    told("train", "xor.yaml", "--run", "R", "--epochs", "2", "--quiet", "--force")
    assert RunFolder.open(place / "R").summary().epochs == 2


# ----------------------------------------------------------------------------------------------- predicting, evaluating


def test_predictions_do_not_depend_on_the_order_of_columns_nor_on_the_target(told, place):
    whole = told("predict", "house", "house.csv")
    found = np.array([float(row["prediction"]) for row in rows(whole)])
    model = rg.load(run_of("house", place))
    given = model.predict(place / "house.csv").ravel()
    scaled = [model.preprocessing.target.scaling.apply(y).astype(np.float32) for y in (found, given)]
    assert np.array_equal(*scaled)  # no digit is missing that the network's float32 has
    turned = [f"{row['age']},{row['size']},{row['town']}" for row in rows(HOUSES)]
    (place / "turned.csv").write_text("\n".join(["age,size,town", *turned]))
    assert told("predict", "house", "turned.csv") == whole


def run_of(name: str, place: Path) -> Path:
    return next(path for path in (place / "runs").iterdir() if path.name.endswith(f"-{name}"))


def test_predictions_go_to_a_file_when_one_is_named(told, place):
    (place / "square.csv").write_text("x1,x2,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n")
    printed = told("predict", "last", "square.csv")
    out, err = told("predict", "xor", "square.csv", "--out", "found.csv", err=True)
    assert (out, err) == ("", "4 predictions written to found.csv\n")
    assert (place / "found.csv").read_text() == printed
    assert [row["prediction"] for row in rows(printed)] == ["0", "1", "1", "0"]
    assert all(float(row["probability_0"]) + float(row["probability_1"]) == pytest.approx(1) for row in rows(printed))


def test_a_model_file_alone_is_enough(told, place):
    run = run_of("house", place)
    shutil.move(run / "model.safetensors", place / "m.safetensors")
    shutil.rmtree(place / "runs")
    assert len(rows(told("predict", "m.safetensors", "house.csv"))) == 60


def test_unseen_words_and_gaps_are_reported(told, place):
    (place / "new.csv").write_text("size,town,age\n70,paris,\n80,oslo,3\n")
    out, err = told("predict", "house", "new.csv", err=True)
    assert len(rows(out)) == 2
    assert "column 'town': 1 cell unseen in training, such as 'paris'" in err
    assert "column 'age': 1 missing value filled" in err


def test_a_model_is_measured_on_rows_with_targets(told, place):
    shown = told("evaluate", "house", "house.csv")
    assert re.search(r"^ +house\.csv$", shown.splitlines()[0])
    scores = json.loads(told("evaluate", "house", "house.csv", "--json"))
    assert set(scores) == {"loss", "r2", "mean_absolute_error", "root_mean_squared_error"}
    assert re.search(rf"^r2 +{scores['r2']:.4f}$", shown, re.MULTILINE)


# ----------------------------------------------------------------------------------------------------------------- runs


def test_runs_are_listed_shown_and_compared(told):
    listed = told("runs").splitlines()
    assert listed[0].split()[-3:] == ["part", "score", "loss"]
    assert [line.split()[-5:-2] for line in listed[1:]] == [
        ["finished", "test", "r2"],
        ["finished", "train", "accuracy"],
    ]
    shown = told("runs", "show", "xor")
    assert "finished all 100 epochs in" in shown
    assert "learning_rate: 0.1" in shown
    assert "  missing_values: [...]  # the default\n  invalid: " in shown
    compared = told("runs", "compare", "house", "xor")
    assert re.search(r"^name +house +xor$", compared, re.MULTILINE)
    assert re.search(r"^train\.accuracy +- +1\.0000$", compared, re.MULTILINE)
    assert told("runs", "compare", "house", "xor", "house").count("accuracy") >= 1  # as many as are named


def test_a_run_that_was_cut_off_says_how_far_it_came(told, place):
    events = run_of("xor", place) / "events.jsonl"
    events.write_text("".join(line for line in events.read_text().splitlines(True) if '"stopped"' not in line))
    assert re.search(r"xor +100 +interrupted +train +accuracy 1\.0000 +\S+\n", told("runs"))
    assert re.search(
        r"^interrupted; epoch 100 ended after [0-9.]+ s\n +train\nloss ", told("runs", "show", "xor"), re.M
    )


def test_the_interventions_of_the_guard_are_reported_in_lines_that_fit_and_as_json(told):
    command = ["train", "xor.yaml", "--set", "optimizer.adam.learning_rate=3e4", "--epochs", "70"]
    lines = told(*command).splitlines()
    assert any(line.startswith("guard, step 0: ") for line in lines)
    assert all(len(line) <= WIDTH for line in lines if "runs" not in line)
    (permanent,) = [line for line in lines if line.startswith("to make it permanent: optimizer.adam.learning_rate: ")]
    found = json.loads(told(*command, "--json"))["interventions"]
    assert found[-1]["permanent"].startswith(permanent.removeprefix("to make it permanent: "))


def test_the_page_of_a_run_is_written_at_its_end_and_again_when_asked_for(told, place):
    folder = run_of("xor", place)
    first = (folder / "report.html").read_text()
    assert "<h1>xor</h1>" in first
    (folder / "report.html").unlink()
    assert told("runs", "report", "xor") == f"{folder.relative_to(place) / 'report.html'}\n"
    assert (folder / "report.html").read_text() == first
    assert json.loads(told("runs", "report", "xor", "-o", "page.html", "--json")) == {"report": "page.html"}
    assert (place / "page.html").read_text() == first


def test_runs_speak_json(told):
    listed = json.loads(told("runs", "--json"))
    assert [run["name"] for run in listed] == ["house", "xor"]
    assert listed[1]["metrics"]["train"]["accuracy"] == 1.0
    assert json.loads(told("runs", "show", "xor", "--json"))["config"]["training"]["epochs"] == 100
    compared = json.loads(told("runs", "compare", "house", "xor", "--json"))
    assert compared["settings"]["name"] == ["house", "xor"]
    assert compared["metrics"]["train.accuracy"] == [None, 1.0]


def test_no_runs_and_damaged_ones_are_no_error(told, place):
    assert told("runs", "--runs", "nowhere").startswith("no runs in nowhere")
    (run_of("xor", place) / "events.jsonl").write_text("{}\n")
    out, err = told("runs", err=True)
    assert "unreadable" in out
    assert re.fullmatch(r"warning: .*events\.jsonl:1: not an event.*\n", err)


# ----------------------------------------------------------------------------------------------------- help, width, schema


@pytest.mark.parametrize("arguments", [[], *([verb] for verb in VERBS), ["runs", "show"], ["runs", "compare"]])
def test_help_fits_a_terminal(told, arguments):
    text = told(*arguments, "--help")
    assert "usage: retrograd" in text.lower()
    assert max(map(len, text.splitlines())) <= WIDTH


def test_the_version_is_printed(told):
    assert told("--version") == f"retrograd {rg.__version__}\n"


def test_the_overview_names_every_verb(told):
    text = told("--help")
    assert all(f"  {verb} " in text and words in text for verb, words in VERBS.items())


def test_tables_fit_a_terminal_however_long_the_names_are(told, place):
    for run in list((place / "runs").iterdir()):
        run.rename(run.with_name(run.name + "-名字" + "very-long-name" * 6))
    for arguments in (["runs"], ["runs", "compare", *sorted(path.name for path in (place / "runs").iterdir())]):
        assert all(columns(line) <= WIDTH for line in told(*arguments).splitlines())


def columns(line: str) -> int:
    return sum(2 if "\u2e80" <= character <= "\uffe0" else 1 for character in line)


def test_the_widest_column_gives_way():
    lines = table([["name", "score"], ["x" * 200, "1.0"], ["short", "2.0"]]).splitlines()
    assert [len(line) for line in lines] == [WIDTH, WIDTH, WIDTH]
    assert lines[1].endswith("xxx...    1.0")
    assert [cut("abcdef", width) for width in (6, 5, 3, 1)] == ["abcdef", "ab...", "...", "."]


def test_the_schema_is_printed(told):
    schema = json.loads(told("schema"))
    assert schema["$schema"].endswith("2020-12/schema")
    assert json.loads(told("schema", "--json")) == schema


# ----------------------------------------------------------------------------------------------------------------- JSON


def test_every_verb_prints_one_json_document_where_json_is_asked_for(told, place):
    run = json.loads(told("train", "xor.yaml", "--set", "training.epochs=2", "--run", "R", "--json"))
    assert run.keys() == {"run", "stop", "epochs", "seconds", "best_epoch", "interventions", "metrics"}
    assert (run["run"], run["stop"]["reason"], run["epochs"]) == ("R", "epochs", 2)
    chosen = json.loads(told("train", "house.csv", "--epochs", "1", "--set", "network=[{dense: targets}]",
                             "--run", "H", "--json"))  # fmt: skip
    assert chosen["config"] == "house.yaml"
    found = json.loads(told("predict", "house", "house.csv", "--json"))
    given = rg.load(run_of("house", place)).predict("house.csv").ravel()
    assert [row["prediction"] for row in found] == pytest.approx(given, rel=1e-6)
    assert told("predict", "house", "house.csv", "--json", "-o", "found.json") == ""
    assert json.loads((place / "found.json").read_text()) == found
    assert json.loads(told("evaluate", "house", "house.csv", "--json")).keys() >= {"loss", "r2"}


@pytest.mark.parametrize("words", [[], ["list"], ["show", "xor"], ["compare", "xor", "house"]])
def test_the_options_of_runs_may_come_before_or_after_its_words(told, place, words):
    shutil.move(place / "runs", place / "there")
    options = ("--runs", "there", "--json")
    assert json.loads(told("runs", *options, *words)) == json.loads(told("runs", *words, *options))


def test_the_chosen_configuration_says_how_a_table_was_read(told, place):
    lines = [line.split(",") for line in HOUSES.splitlines()]
    text = "\n".join(";".join([f"{cells[0]},5" if i else cells[0], *cells[1:]]) for i, cells in enumerate(lines))
    (place / "haus.csv").write_bytes(text.replace("town", "ort").encode("utf-16"))
    out, err = told("train", "haus.csv", "--target", "price", "--epochs", "1", "--run", "H", err=True)
    assert "read as encoding 'utf-16', separator ';', decimal ','" in err
    kept = parse_document(out.partition("finished")[0]).values["data"]
    assert kept == {"path": "haus.csv", "target": "price", "encoding": "utf-16", "separator": ";", "decimal": ","}
    (place / "plain.csv").write_text(HOUSES.replace("town", "ort"))
    assert len(rows(told("predict", "H", "plain.csv"))) == 60
    assert len(rows(told("predict", "H", "haus.csv"))) == 60


def test_numbers_have_the_digits_that_help():
    assert aligned([0.98765432, 1.0, None]) == ["0.9877", "1.0000", "-"]
    assert aligned([12.3456789, 0.5]) == ["12.346", "0.500"]
    assert aligned([123456.789, 3.0]) == ["123457", "3"]
    assert [aligned([each])[0] for each in (1e-9, 2.5e10, 0.0, float("nan"))] == [
        "1.000e-9",
        "2.500e10",
        "0.0000",
        "nan",
    ]


def test_the_package_is_the_command_too():
    ended = subprocess.run([sys.executable, "-m", "retrograd", "--version"], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("retrograd ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train house.csv --target prise", r"no column 'prise'; did you mean 'price'\?"),
        ("train house.cvs", r"house\.cvs: not found; did you mean 'house\.csv'\?"),
        ("train xor", r"xor: not found; did you mean 'xor\.yaml'\?"),
        ("trace moons", r"no run 'moons'; .* path, such as examples/xor\.yaml; 'moons' is a built-in .*`data: moons`"),
        ("diagnose zzz", r"no run 'zzz'; .*a configuration is named by its path, such as examples/xor\.yaml\n"),
        ("train --targt x", r"unknown option '--targt'; did you mean '--target'\?\n *usage: retrograd train \["),
        ("train --zzz x", r"unknown option '--zzz'; see: retrograd train --help"),
        ("predict", r"missing argument 'RUN'\n"),
        ("train a b", r"unexpected argument 'b'\n"),
        ("train --epochs", r"--epochs: expected a value\n"),
        ("train --epochs x", r"--epochs: expected an integer of at least 1, found 'x'\n"),
        ("trace x --dtype f", r"--dtype: expected one of 'float64', 'float32', found 'f'\n"),
        ("runs shw", r"unknown command 'shw'; did you mean 'show'\?\n"),
        ("show last", r"unknown command 'show'; did you mean 'runs show'\?\n *usage: retrograd COMMAND \.\.\.\n"),
        ("trian", r"unknown command 'trian'; did you mean 'train'\?\n"),
    ],
)
def test_a_mistyped_word_is_answered_with_the_one_that_was_meant(place, capsys, arguments, message):
    assert main(arguments.split()) == 2
    assert re.match(f"error: .*{message}", capsys.readouterr().err)


def test_the_commands_below_runs_are_known_without_importing_it():
    assert {"runs": (*runs_command.commands,)} == BELOW
