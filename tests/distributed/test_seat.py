"""Which process of how many this is, as launchers say it; what cannot work is said before anything is computed."""

import socket

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh
from jax.tree_util import DictKey, GetAttrKey

from retrograd.base.errors import ConfigError, ResourceError
from retrograd.distributed import launch, seat
from retrograd.distributed.launch import exit_code
from retrograd.distributed.layout import Layout, axes_of
from retrograd.distributed.line import reach
from retrograd.distributed.seat import Seat, are_on_several_hosts, refuse_unreachable, seat_of
from retrograd.distributed.settings import Distributed
from retrograd.distributed.team import Team
from retrograd.training import checkpoints
from retrograd.training.checkpoints import shared
from retrograd.training.config.config import RunConfig, plain_config
from retrograd.training.loop.guard import Memory
from retrograd.training.loop.saved import Saved
from retrograd.update.step import TrainState

ELSEWHERE = ("SLURM_JOB_ID", "OMPI_MCA_orte_hnp_uri", "KUBERNETES_SERVICE_HOST")


@pytest.fixture(autouse=True)
def nothing_is_said(monkeypatch):
    for name in (*ELSEWHERE, seat.RANK, seat.PROCESSES, seat.COORDINATOR, seat.LOCAL_RANK):
        monkeypatch.delenv(name, raising=False)


def say(monkeypatch, rank="1", processes="2", coordinator="127.0.0.1:4321"):
    for name, value in zip((seat.RANK, seat.PROCESSES, seat.COORDINATOR), (rank, processes, coordinator), strict=True):
        monkeypatch.setenv(name, value)


def test_a_process_without_a_launcher_is_alone():
    assert seat_of(Distributed()) is None
    with pytest.raises(ConfigError, match="2 processes are configured, but this one was not started"):
        seat_of(Distributed(processes=2))


def test_a_launched_process_has_its_seat(monkeypatch):
    say(monkeypatch)
    assert seat_of(Distributed()) == Seat("127.0.0.1", 4321, 2, 1)
    with pytest.raises(ConfigError, match="4 processes are configured, but 2 were started"):
        seat_of(Distributed(processes=4))


@pytest.mark.parametrize(("rank", "coordinator"), [("2", "a:1"), ("-1", "a:1"), ("x", "a:1"), ("0", "a"), ("0", "a:0")])
def test_nonsense_in_the_environment_is_refused(monkeypatch, rank, coordinator):
    say(monkeypatch, rank, "2", coordinator)
    with pytest.raises(ConfigError, match=f"RETROGRAD_RANK={rank}"):
        seat_of(Distributed())


def test_slurm_is_detected(monkeypatch):
    told = {"JOB_ID": "7", "STEP_NODELIST": "localhost", "NTASKS": "4", "PROCID": "3", "LOCALID": "1"}
    for name, value in told.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "1")
    found = seat_of(Distributed())
    assert (found.host, found.size, found.rank, found.local_rank) == ("localhost", 4, 3, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "2")
    with pytest.raises(ResourceError, match=r"localhost resolves to .* here, which other machines cannot reach"):
        seat_of(Distributed())


def test_one_machine_of_an_allocation_of_several_may_launch_its_own_processes(monkeypatch):
    monkeypatch.setenv("SLURM_NNODES", "2")
    say(monkeypatch)
    with pytest.raises(ResourceError, match="other machines cannot reach"):
        seat_of(Distributed())
    monkeypatch.setenv(seat.LOCAL_RANK, "1")
    assert seat_of(Distributed()) == Seat("127.0.0.1", 4321, 2, 1, 1)


def test_who_cannot_reach_the_others_says_why(monkeypatch):
    def refuse(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(ResourceError, match=r"rank 1 cannot reach 127\.0\.0\.1:4321 from .*: timed out"):
        reach(Seat("127.0.0.1", 4321, 2, 1), timeout=-1.0)


def test_the_launcher_announces_several_hosts():
    assert not are_on_several_hosts({}, 2)
    assert are_on_several_hosts({"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, 4)


def test_a_name_without_an_address_is_refused():
    with pytest.raises(ResourceError, match=r"'no\.such\.host\.invalid' cannot be resolved"):
        refuse_unreachable(Seat("no.such.host.invalid", 1, 2, 0), several_hosts=False)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"coordinator": "node1"}, "expected HOST:PORT, found 'node1'"),
        ({"mesh": {"data": 0}}, "0 devices"),
        ({"mesh": {"model": -1}}, "set one of them"),
        ({"shard": [["*/weight", ["rows"]]]}, r"expected \[pattern"),
        ({"shard": [["*/weight", ["data", "data"]]]}, "cuts two axes along the same mesh axis"),
        ({"processes": 0}, "expected a positive integer, or auto"),
    ],
)
def test_settings_that_cannot_be_are_refused(plain, words):
    with pytest.raises(ConfigError, match=words):
        RunConfig(network=[{"dense": 1}], distributed=plain)


def test_settings_come_back_as_they_were():
    rules = [["*/hidden/weight", [None, "model"]]]
    config = RunConfig(network=[{"dense": 1}], distributed={"shard": rules, "mesh": {"model": 2}})
    plain = plain_config(config)["distributed"]
    assert plain["shard"] == rules
    assert RunConfig(network=[{"dense": 1}], distributed=plain) == config


@pytest.mark.parametrize(
    ("path", "shape", "axes"),
    [
        (("params", "a/hidden", "weight"), (4, 6), (None, "model")),
        (("optimizer", "a/hidden", "weight"), (4, 6), (None, "model")),  # a moment as its parameter
        (("params", "a/hidden", "weight"), (4, 5), ("data",)),  # the next rule that divides
        (("params", "a/hidden", "bias"), (3,), ()),
        (("state", "a/hidden", "weight"), (4, 6), ()),
    ],
)
def test_the_first_rule_counts_that_matches_and_divides(path, shape, axes):
    part, node, name = path
    rules = (("*/hidden/weight", (None, "model")), ("*", ("data",)))
    place = (GetAttrKey(part), DictKey(node), DictKey(name))
    assert axes_of(rules, {"data": 2, "model": 3}, place, shape) == axes


def test_a_rule_that_divides_nothing_is_reported_and_no_slices_are_awaited():
    mesh = AbstractMesh((2, 1), ("data", "model"))
    spec = jax.ShapeDtypeStruct((4, 6), "float32")
    params = {"hidden": {"weight": spec, "bias": jax.ShapeDtypeStruct((3,), "float32")}}
    state = TrainState(params, {}, (), spec, spec, spec)
    for rule, reason in [
        (("*/weigth", ("data",)), "no parameter matches '*/weigth'"),
        (("*/weight", (None, "model")), "model of the mesh is 1"),
        (("*/bias", ("data",)), "no parameter that matches '*/bias' can be cut evenly into 2"),
        (("*/weight", (None, "data")), None),
    ]:
        layout = Layout(mesh, (rule, ("*/bias", (None,))))
        assert list(layout.idle(params)) == ([f"distributed.shard.0 cuts nothing: {reason}"] if reason else [])
        assert layout.cuts(state) is (reason is None)


@pytest.mark.parametrize(("codes", "code"), [([0, 0], 0), ([6, -9], 6), ([5, 5], 5), ([0, -9], 6), ([-15, -15], 143)])
def test_a_launched_command_has_one_exit_code(codes, code):
    assert exit_code(codes) == code


class Pair(Team):
    """Rank 1 of two, which hears what the other one says to a question."""

    rank, size = 1, 2

    def __init__(self, other):
        self.other, self.said = other, []

    def every(self, name, value):
        self.said.append((name, value))
        return [self.other, value]


@pytest.mark.parametrize("error", [ResourceError("disk full"), MemoryError()])
def test_who_has_no_slices_says_so_to_those_who_wait_for_them(monkeypatch, tmp_path, error):
    def refuse(*_):
        raise error

    place = Saved({"train/step": np.array(7)}, Memory(0.0, True, 0, {}), 0.0)
    sound, pair = Pair(""), Pair("sum")
    with pytest.raises(ResourceError, match="rank 0 could not write its slices"):
        shared(sound, tmp_path, place)
    monkeypatch.setattr(checkpoints, "write_slices", refuse)
    with pytest.raises(type(error)):
        shared(pair, tmp_path, place)
    assert pair.said == [(sound.said[0][0], "")]


class Failing:
    """A group of processes that ends with the exit codes of a list, one a start."""

    def __init__(self, codes):
        self.codes, self.commands = list(codes), []

    def __call__(self, command, processes):
        self.commands.append(list(command))
        return self

    def run(self):
        return self.codes.pop(0), False


@pytest.mark.parametrize(
    ("codes", "code"),
    [([6, 137, 0], 0), ([6, 6, 6], 6), ([2], 2), ([143], 143)],
    ids=["goes well in the end", "fails each time", "a mistake", "asked to stop"],
)
def test_a_failed_command_continues_its_run(monkeypatch, codes, code):
    group = Failing(codes)
    monkeypatch.setattr(launch, "Group", group)
    assert launch.launch(["train", "x.yaml", "--force"], 2, restarts=2) == code
    assert group.codes == []
    assert group.commands[0] == ["train", "x.yaml", "--force"]
    assert all(command == ["train", "x.yaml", "--resume", "auto"] for command in group.commands[1:])
