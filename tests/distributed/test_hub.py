"""The hub names whoever is missing, differs, dies, is stuck or fails, and ends all others with one exit code."""

import contextlib
import errno
import json
import socket
import threading
import time

import pytest

from retrograd.distributed.hub import RESOURCE, Hub, difference

PATIENT, SHORT = 30.0, 0.6  # seconds within which all must have come


class Rank:
    """A process as the hub sees it."""

    def __init__(self, hub, rank, size=2):
        self.connection = socket.create_connection(hub.listener.getsockname())
        self.connection.settimeout(PATIENT)
        self.stream = self.connection.makefile("r")
        self.say(hello=rank, size=size, host=f"host{rank}", process=100 + rank)

    def say(self, **word):
        self.connection.sendall(json.dumps(word).encode() + b"\n")

    def hear(self, kind):
        for line in self.stream:
            if kind in (word := json.loads(line)):
                return word
        return None

    def go(self):
        self.stream.close()
        self.connection.close()


@pytest.fixture
def serve(capsys):
    """Return what starts a hub, and what waits for its end and returns its exit code and what it said."""
    running = []

    def start(size=2, timeout=PATIENT):
        listener = socket.create_server(("127.0.0.1", 0))
        hub = Hub(listener, size, timeout)
        hub._serve_jax = lambda loopback: 4321
        codes = []
        thread = threading.Thread(target=lambda: codes.append(hub.run()))
        thread.start()
        running.append((hub, thread))

        def end():
            thread.join(PATIENT)
            return codes[0], capsys.readouterr().err

        return hub, end

    yield start
    for hub, thread in running:
        thread.join(PATIENT)
        for key in list(hub.selector.get_map().values()):
            key.fileobj.close()
        hub.selector.close()


def crew(hub, size=2):
    ranks = [Rank(hub, rank, size) for rank in range(size)]
    assert all(rank.hear("welcome")["welcome"] == 4321 for rank in ranks)
    return ranks


def leave(*ranks):
    for rank in ranks:
        rank.go()


def test_all_come_agree_and_leave(serve):
    hub, end = serve()
    ranks = crew(hub)
    for rule, values, answer in (
        ("same", [3, 3], 3),
        ("first", ["a", None], "a"),
        ("every", [1, 2], [1, 2]),
        ("meet", [{"wish": None, "now": 5, "state": "s"}, {"wish": "interrupted", "now": 6, "state": "s"}],
         {"wish": "interrupted", "now": 5}),
    ):  # fmt: skip
        for rank, value in zip(ranks, values, strict=True):
            rank.say(ask=rule, rule=rule, value=value)
        assert [rank.hear("answer")["value"] for rank in ranks] == [answer, answer]
    for rank in ranks:
        rank.say(done=True)
    assert all(rank.hear("bye") for rank in ranks)
    assert end() == (0, "")
    leave(*ranks)


@contextlib.contextmanager
def alive(*ranks):
    """Let ranks give signs of life."""
    stop = threading.Event()
    signs = threading.Thread(
        target=lambda: [rank.say(alive=True) for _ in iter(lambda: stop.wait(0.05), True) for rank in ranks]
    )
    signs.start()
    try:
        yield
    finally:
        stop.set()
        signs.join()


def test_who_does_not_come_is_named(serve):
    hub, end = serve(size=3, timeout=SHORT)
    ranks = [Rank(hub, rank, 3) for rank in (0, 2)]
    with alive(*ranks):
        code, said = end()
    assert code == RESOURCE
    assert "rank 1 of 3 did not join within 0.6 s; joined: rank 0 of 3 (host host0, process 100), rank 2" in said
    leave(*ranks)


@pytest.mark.parametrize(
    ("act", "code", "words"),
    [
        (lambda rank: rank.go(), RESOURCE, "lost rank 1 of 2 (host host1, process 101) without notice"),
        (lambda rank: rank.say(failed="no such file", code=2), 2, "(host host1, process 101): no such file"),
        (lambda rank: rank.connection.sendall(b"GET /\n"), RESOURCE, "rank 1 of 2"),
        (lambda rank: rank.say(ask="end", rule="same"), RESOURCE, "has ended while others wait for it (configuration)"),
        (
            lambda rank: rank.say(ask="configuration", rule="same", value={"training.seed": 1}),
            RESOURCE,
            "rank 1 of 2 (host host1, process 101) disagrees with rank 0 on the configuration: training.seed is 1, not 0",
        ),
    ],
    ids=["death", "failure", "nonsense", "desertion", "difference"],
)
def test_what_happens_to_one_ends_all_with_one_message_and_one_exit_code(serve, act, code, words):
    hub, end = serve()
    first, second = crew(hub)
    first.say(ask="configuration", rule="same", value={"training.seed": 0})
    act(second)
    assert first.hear("end")["code"] == code
    ended, said = end()
    assert ended == code
    assert words in said
    assert len(said.splitlines()) == 1
    leave(first, second)


def test_who_gives_no_sign_of_life_is_named(serve):
    hub, end = serve(timeout=2 * SHORT)
    first, second = crew(hub)
    begin = time.monotonic()
    while not hub.verdict and time.monotonic() - begin < PATIENT:
        first.say(alive=True)
        time.sleep(0.05)
    code, said = end()
    assert code == RESOURCE
    assert "rank 1 of 2 (host host1, process 101) has not responded for" in said
    leave(first, second)


def test_strangers_and_second_ones_of_a_rank_are_no_members(serve):
    hub, end = serve()
    stranger = Rank(hub, 0)
    twin = Rank(hub, 0)
    assert "every process needs its own rank" in stranger.hear("end")["end"]
    assert "every process needs its own rank" in twin.hear("end")["end"]
    assert end()[0] == RESOURCE
    leave(stranger, twin)


def test_a_process_of_another_size_hears_why_it_is_refused(serve):
    hub, end = serve()
    other = Rank(hub, 2, size=3)
    assert "expects 3 processes, but 2 were started" in other.hear("end")["end"]
    assert end()[0] == RESOURCE
    leave(other)


NONSENSE = (b"[" * 60_000 + b"\n", b'{"hello": 1e999}\n', b'{"hello": 7, "size": 2, "host": "h", "process": 1}\n')


def test_whatever_a_stranger_says_ends_its_connection_alone(serve, monkeypatch):
    accept, failing = socket.socket.accept, [OSError(errno.EMFILE, "too many open files")]

    def refuse_once(listener):
        if failing:
            raise failing.pop()
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", refuse_once)
    hub, end = serve(timeout=2 * SHORT)
    strangers = [socket.create_connection(hub.listener.getsockname()) for _ in (*NONSENSE, b"")]
    for stranger, words in zip(strangers, (*NONSENSE, b""), strict=True):
        stranger.settimeout(PATIENT)
        stranger.sendall(words)
    first, second = crew(hub)
    with alive(first, second):
        assert [stranger.recv(1) for stranger in strangers] == [b""] * len(strangers)  # the last after the timeout
    for rank in (first, second):
        rank.say(done=True)
    assert end() == (0, "")
    leave(first, second)
    for stranger in strangers:
        stranger.close()


def test_differences_name_the_first_few_settings():
    first = {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    assert difference(first, {**first, "a": 9}) == "a is 9, not 1"
    assert difference(first, {}).endswith("c is not set, not 3; and 2 more")
    assert difference("x" * 50, "y") == f"y, not {'x' * 37}..."
