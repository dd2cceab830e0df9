"""What an explanation says is what a hand computes and what the compiled step measures."""

import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from retrograd.base.errors import UsageError
from retrograd.base.finding import Finding
from retrograd.data.dataset import from_arrays
from retrograd.explanation.field import field_behind, first_field
from retrograd.explanation.nodes import arithmetic
from retrograd.explanation.risks import beside
from retrograd.explanation.work import multiply_adds

CONFIG = """\
name: houses
data: {path: house.csv, target: price, split: none}
network:
  - dense: {units: 5, activation: relu}
  - dropout
  - dense: targets
optimizer: adam
training:
  epochs: 7
  batch_size: 4
"""
HOUSES = "size,age,price\n" + "".join(f"{50 + i * 7 % 90},{i * 5 % 40},{1000 + 13 * (i * i % 31)}\n" for i in range(12))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    (folder / "house.csv").write_text(HOUSES)
    (folder / "house.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def made(place):
    return rg.explain(place / "house.yaml", changes=["training.seed=3"])


def setting(made, path):
    (found,) = [fact for fact in made.settings if fact.path == path]
    return found


def test_parameters_work_and_memory_are_what_a_hand_computes(made):
    dense = made.nodes[0]
    assert (dense.path, dense.shape, dense.parameters) == ("dense_1", "batch x 5", 15)
    assert dense.arithmetic == "2*5 + 5 = 15"
    assert dense.forward_work == 2 * 5
    assert dense.backward_work == 2 * (2 * 5)  # the delta of x, and the gradient of the weight
    assert dense.parameter_bytes == 15 * 4
    assert dense.tape_bytes == 4 * 2 * 4  # x of one batch
    assert dense.optimizer_bytes == 2 * 15 * 4  # Adam's two moments
    assert made.totals.parameters == 15 + 6
    assert made.totals.steps_per_epoch == 3
    assert made.totals.gradient_bytes == made.totals.parameter_bytes == 21 * 4
    assert made.totals.step_bytes > 21 * 4 * 4
    assert made.totals.seconds_per_step > 0


def test_a_convolutions_work_is_outputs_times_kernel():
    layer = rg.Conv2D(4, 3, padding="valid")
    x = jnp.zeros((1, 8, 7, 2))
    params = layer.init(jax.random.key(0), x).params
    counted = multiply_adds(lambda p, x: layer.forward(p, {}, rg.Context(), x).y, params, x)
    assert counted == 6 * 5 * 4 * (3 * 3 * 2)


def test_a_loop_counts_each_time():
    weight = jnp.zeros((3, 3))

    def run(x):
        return jax.lax.scan(lambda h, _: (h @ weight, None), x, None, length=5)[0]

    assert multiply_adds(run, jnp.zeros((2, 3))) == 5 * 2 * 3 * 3


@pytest.mark.parametrize(
    ("shapes", "text"), [({"weight": (64, 32), "bias": (32,)}, "64*32 + 32 = 2,080"), ({"bias": (7,)}, "7")]
)
def test_the_arithmetic_of_parameters_is_written_out(shapes, text):
    assert arithmetic({name: np.zeros(shape) for name, shape in shapes.items()}) == text


def test_the_receptive_field_grows_with_kernels_strides_and_dilation():
    size, field, seen = 16, first_field((1, 16, 16, 3)), []
    for layer in (rg.Conv2D(2, 3), rg.Conv2D(2, 3), rg.MaxPool(2), rg.Conv2D(2, 3), rg.Conv2D(2, 3, dilation=2)):
        before, size = size, size // 2 if isinstance(layer, rg.MaxPool) else size
        field = field_behind(layer, [field], (1, before, before, 2), (1, size, size, 2))
        seen.append(field.extent)
    assert seen == [(3, 3), (5, 5), (6, 6), (10, 10), (18, 18)]


def test_the_receptive_field_is_the_one_that_the_gradient_shows():
    network = rg.Network(rg.Conv1D(1, 3, stride=2), rg.Conv1D(1, 5, dilation=2), rg.MaxPool(2), rg.Conv1D(1, 3))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 128, 1)).astype(np.float32)
    params, state = network.init(jax.random.key(0), {"x": x})
    moved = {node: {"weight": jnp.ones_like(own["weight"]), "bias": own["bias"]} for node, own in params.items()}

    def middle(x):
        y = rg.forward(network, moved, state, rg.Context(), {"x": x}).outputs[network.output]
        return y[0, y.shape[1] // 2, 0]

    # where the maximum chooses decides which places have a slope: the union over several inputs sees all
    seen = np.zeros(128, bool)
    for i in range(24):
        seen |= np.asarray(jax.grad(middle)(x * rng.normal(size=x.shape).astype(np.float32) + i))[0, :, 0] != 0
    config = {"network": [{"conv1d": {"filters": 1, "kernel": 3, "stride": 2}},
                          {"conv1d": {"filters": 1, "kernel": 5, "dilation": 2}}, {"max_pool": 2},
                          {"conv1d": {"filters": 1, "kernel": 3}}, "flatten", {"dense": 1}],
              "training": {"batch_size": 4}, "data": None}  # fmt: skip
    settings = rg.DataSettings(split=rg.SplitSettings("none"), task="regression")
    data = from_arrays(rng.normal(size=(8, 128, 1)), np.zeros((8, 1)), settings=settings)
    explained = rg.explain(config, dataset=data, measure=False)
    places = np.flatnonzero(seen)
    assert explained.nodes[3].receptive_field == str(places[-1] - places[0] + 1)
    assert explained.nodes[-1].receptive_field == ""


def test_the_initial_scale_is_predicted_from_the_initialiser():
    rng = np.random.default_rng(0)
    data = from_arrays(rng.normal(size=(256, 50)), np.zeros((256, 1)), settings=rg.DataSettings(task="regression"))
    network = [rg.Dense(200, "relu"), rg.Dense(200, "tanh"), rg.Residual([rg.Dense(200, "gelu")]), rg.LayerNorm(),
               rg.Dense(1)]  # fmt: skip
    config = rg.RunConfig(network=rg.Network(*network).entries, training=rg.TrainingSettings(batch_size="all"))
    nodes = rg.explain(config, dataset=data, measure=False).nodes
    assert all(node.predicted_scale is not None for node in nodes)
    for node in nodes[:-1]:  # the last one has a single unit: too few to average over
        assert node.predicted_scale == pytest.approx(node.measured_scale, rel=0.15), node.path


def test_every_setting_is_shown_with_its_origin(made):
    assert setting(made, "training.epochs").origin == "line 9"
    assert setting(made, "training.seed").origin == "set by --set"
    assert setting(made, "training.shuffle").origin == "default"
    assert setting(made, "network.0.dense.units").origin == "line 4"
    assert setting(made, "network.1.dropout.rate").origin == "default"
    assert setting(made, "network.2.dense.units").origin == "line 6: targets, from the data"
    assert setting(made, "network.2.dense.units").value == "1"
    assert (setting(made, "network.0.dense.weight").value, setting(made, "network.0.dense.weight").origin) == (
        "he_normal", "chosen")  # fmt: skip
    assert (setting(made, "loss").value, setting(made, "loss").origin) == ("mean_squared_error", "from the data")
    assert setting(made, "optimizer.adam.beta1").origin == "default"
    assert setting(made, "data.split.method").origin == "line 2"
    assert all(fact.what for fact in made.settings)


def test_the_text_fits_80_columns_and_the_page_needs_nothing_else(made):
    assert max(len(line) for line in str(made).splitlines()) <= 80
    page = made.html()
    assert not re.search(r"https?://|<script|<link|src=", page)
    assert "prefers-color-scheme: dark" in page
    assert all(f"<code>{fact.path}</code>" in page for fact in made.settings)


def test_json_holds_everything(made):
    read = json.loads(json.dumps(made.to_json()))
    assert [node["path"] for node in read["nodes"]] == [node.path for node in made.nodes]
    assert read["totals"]["seconds_per_epoch"] == pytest.approx(3 * read["totals"]["seconds_per_step"])
    assert len(read["settings"]) == len(made.settings)


def test_findings_of_the_diagnosis_without_training_are_shown_beside_the_line_that_they_concern(made):
    assert [risk.finding.name for risk in made.at(node="dense_1")] == ["narrow"]
    (travel,) = made.at(setting="training.epochs")
    assert travel.finding.name == "travel"
    text, page = str(made), made.html()
    assert re.search(r"\n! dense_1: dense, .*\n +risk +only 5 units", text)
    assert re.search(r"\n! training.epochs = 7 .*\n +risk +21 updates", text)
    assert re.search(r"LOOKS RISKY.*\n  ! training.epochs: travel\n", text)
    assert re.search(r"\ndata = .*\n +note +only 12 training rows", text)  # a note does not mark the line
    assert re.search(r'<details id="node-dense_1" class="risky" open="">.*only 5 units', page)
    assert re.search(r'<div id="setting-training.epochs" class="risky">', page)
    found = {each["name"]: each for each in made.to_json()["findings"]}
    assert (found["narrow"]["node"], found["narrow"]["setting"]) == ("dense_1", None)
    assert found["travel"]["setting"] == "training.epochs"


def test_defaults_that_change_nothing_are_shown_with_the_others_or_folded(made):
    text, page = str(made), made.html()
    shown, folded = page.split("more settings at their defaults")
    for path in ("training.time_limit", "data.windows", "data.separator"):
        assert f"{path} = " not in text
        assert f"{path} = " in made.text(every=True)
        assert f'id="setting-{path}"' not in shown
        assert f'id="setting-{path}"' in folded
    assert "--all" in text
    assert "--all" not in made.text(every=True)


def test_a_harmless_note_is_not_called_risky(made):
    notes = [risk for risk in made.risks if risk.is_note]
    assert notes
    assert not any(risk in risky for risky in made.risks_by_place().values() for risk in notes)


@pytest.mark.parametrize(
    ("path", "node", "setting"),
    [
        ("network.2 (block_1/dense_1)", "block_1/dense_1", ""),
        ("network.2 (block_1/dense_1)/weight", "block_1/dense_1", ""),
        ("block_1/dense_1/bias", "block_1/dense_1", ""),
        ("optimizer.learning_rate", "", "optimizer.adam.learning_rate"),
        ("data.split", "", "data.split"),
        ("data.scale", "", "data"),
        ("network", "", "network"),
        ("column 'x'", "", ""),
    ],
)
def test_a_finding_is_shown_beside_a_node_or_a_setting_or_alone(path, node, setting):
    settings = ["data", "data.split", "network", "optimizer", "optimizer.adam.learning_rate"]
    (risk,) = beside([Finding("odd", path, "odd")], ["dense_1", "block_1/dense_1"], settings)
    assert (risk.node, risk.setting) == (node, setting)


def test_findings_of_others_are_marked_too(place):
    found = Finding("small_batch", "training.batch_size", "4 rows make a noisy gradient", remedies=("larger_batch",))
    text = str(rg.explain(place / "house.yaml", findings=[found], measure=False))
    assert "! training.batch_size = 4" in text
    assert "may help: larger_batch" in text


def test_a_table_alone_is_explained_with_the_reasons_of_what_is_chosen(place):
    made = rg.explain(place / "house.csv", target="price", measure=False)
    assert made.task == "regression"
    assert setting(made, "training.batch_size").origin == "chosen"
    assert "1 update per epoch" in setting(made, "training.batch_size").why


def test_a_run_is_explained_from_its_folder(place):
    run = rg.train(place / "house.yaml", root=place / "runs")
    assert [node.path for node in rg.explain(run.folder, measure=False).nodes] == list(run.model.network.by_name)
    for what in (run, run.folder):
        made = rg.explain(what, changes=["training.epochs=7"], measure=False)
        assert setting(made, "training.epochs").value == "7"


def test_changes_that_would_be_ignored_are_refused():
    given = {"data": "xor", "network": [{"dense": 1}]}
    with pytest.raises(UsageError, match=r"changes: only for a configuration file; change the configuration itself"):
        rg.explain(given, changes=["training.epochs=7"])


def test_a_folder_of_images_is_explained_as_data(tmp_path):
    from PIL import Image

    for name, level in (("dark", 20), ("light", 230)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("L", (8, 8), level + i).save(tmp_path / "pets" / name / f"{i}.png")
    made = rg.explain(tmp_path / "pets", measure=False)
    assert made.task in ("binary", "multiclass")
    assert sum(made.rows.values()) == 16


def test_what_devices_share_is_counted():
    config = {
        "data": "xor",
        "network": [{"dense": 8}, {"dense": 1}],  # 24 and 9 parameters; the last bias cannot be cut
        "optimizer": {"adam": 0.01},
        "distributed": {"mesh": {"data": 2}, "shard": [["*", ["data"]]]},
    }
    made = rg.explain(config, measure=False)
    (shared,) = made.sharing
    assert (shared.devices, shared.cut, shared.parameters) == (2, 32, 33)
    assert shared.parameter_bytes == 4 * (32 // 2 + 1)
    assert shared.optimizer_bytes == 2 * shared.parameter_bytes + 2 * 4  # the moments, and two counts of steps
    assert shared.wire_bytes == 3 * 4 * 32 // 2 + 2 * 4 // 2
    assert "97% of the parameters are sharded" in " ".join(str(made).split())
    usual = rg.explain({**config, "distributed": {}}, measure=False).sharing
    assert [each.devices for each in usual] == [2, 8, 64]
    assert usual[1].wire_bytes == sum(2 * 4 * n * 7 // 8 for n in (16, 8, 8, 1))
