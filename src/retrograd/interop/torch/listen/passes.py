"""The forward passes since the last backward pass: their number, their mode, and whether their graphs are alive."""

from __future__ import annotations

import os
from typing import Any

from torch import Tensor

from retrograd.interop.torch.journal import Journal
from retrograd.interop.torch.listen.moods import Mode
from retrograd.interop.torch.look.rows import fingerprint
from retrograd.interop.torch.nested import first_tensor
from retrograd.interop.torch.place import within

MOST_TOKENS, PRINTS = 256, 64  # maximum number of graphs and inputs remembered: enough to see that they pile up
DELIBERATE = (
    "swa_utils.py",
    os.path.join("utils", "checkpoint.py"),
)  # files of PyTorch whose passes must be in training mode
OLD = 5  # turns after which a graph is old: a correct loop releases it within one


class Token:
    """An object that lives as long as the graph of one forward pass."""

    __slots__ = ("__weakref__", "turn")

    def __init__(self, turn: int) -> None:
        self.turn = turn


class Pass:
    """One forward pass: its mode, and whether a backward pass has reached its outputs."""

    __slots__ = ("mode", "reached")

    def __init__(self, mode: Mode) -> None:
        self.mode, self.reached = mode, False

    @property
    def training(self) -> bool:
        """Whether some module is in training mode."""
        return self.mode.some

    def reach(self, _: Tensor) -> None:
        """Note that a backward pass has reached the outputs."""
        self.reached = True


class Passes:
    """Counts forward passes into the journal. Those that no backward pass uses should be in evaluation mode."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.since: list[Pass] = []  # passes with gradients since the last backward pass
        self.silent = self.turn = 0  # while asleep: number of passes in training mode, and since which turn
        self.usual: int | None = None  # the usual number per turn, if it is always the same
        self.last_was_blind = False
        self.last_print = 0  # fingerprint of the inputs of the last blind pass
        self.asleep: Mode | None = None  # mode of the last pass with gradients while asleep

    def sleep(self, turn: int) -> None:
        """Continue counting without a list."""
        self.silent, self.turn, self.asleep = 0, turn, None
        self.usual = self._habit()

    def with_gradients(self, outputs: list[Tensor], turn: int, mode: Mode) -> None:
        """Note a pass whose outputs have graphs."""
        journal = self.journal
        self.last_was_blind = False
        new = Pass(mode)
        if journal.moody:
            for y in outputs:
                y.register_hook(new.reach)
        self.since.append(new)
        if not new.training:
            journal.note("eval_forward")
        elif len(self.since) == journal.usual + 1 and journal.backwards:
            journal.note("unguarded", again=True)
        journal.training_forwards += new.training
        graph = outputs[0].grad_fn
        if len(journal.tokens) < MOST_TOKENS and graph is not None:
            token = Token(turn)
            graph.metadata["retrograd"] = token
            journal.tokens.add(token)

    def blind(self, args: Any) -> None:
        """Count a pass in training mode without gradients, as in a validation without `eval()`.

        Not counted are passes before any training, the first half of a checkpointed pass, passes that estimate batch
        norm's statistics, and immediate repetitions with the same inputs, as in sampling from dropout.
        """
        journal = self.journal
        x = first_tensor(args)
        last, self.last_print = self.last_print, 0 if x is None or not x.ndim else fingerprint(x)
        repeats = self.last_was_blind and last == self.last_print != 0
        if repeats or not journal.backwards or within(*DELIBERATE):
            self.last_was_blind = True
            journal.sampled += repeats
            return
        journal.blind += 1
        journal.blind_runs += not self.last_was_blind
        self.last_was_blind = True
        journal.note("blind")
        if self.last_print and len(journal.blind_prints) < PRINTS:
            journal.blind_prints[self.last_print] += 1

    def used(self, turn: int) -> None:
        """Note, during an inspection, that a backward pass has used the last of the passes."""
        journal, n = self.journal, len(self.since)
        usual = journal.usual if journal.per_backward else n
        if self.since:
            journal.per_backward[n] += 1
            self._in_mode(self.since[-1].mode)
        unreached = sum(forward.training and not forward.reached for forward in self.since)
        journal.unguarded += min(max(0, n - usual), unreached)
        journal.backwards += 1
        alive = sum(token.turn <= turn - OLD for token in set(journal.tokens))
        journal.alive = max(journal.alive, alive)

    def silently(self, turn: int, mode: Mode) -> None:
        """Count a pass while asleep; if there was a backward pass since, it has used the previous one."""
        if turn != self.turn:
            self._beyond_usual()
            if self.asleep is not None:
                self._in_mode(self.asleep)
            self.silent, self.turn = 0, turn
        self.silent += mode.some
        self.asleep = mode
        if not mode.some:
            self.journal.note("eval_forward")

    def _in_mode(self, mode: Mode) -> None:
        """Count a training pass by its mode."""
        journal = self.journal
        journal.judged_passes += 1
        journal.eval_steps += not mode.some and not mode.root
        journal.parts_in_eval += not mode.some and mode.root

    def _habit(self) -> int | None:
        return self.journal.usual if len(self.journal.per_backward) == 1 else None

    def _beyond_usual(self) -> None:
        if self.usual is not None:
            self.journal.unguarded += max(0, self.silent - self.usual)

    def end(self) -> None:
        """Count the passes that no backward pass has used before the end."""
        self.silent = max(self.silent, sum(forward.training for forward in self.since))
        self.usual = self._habit()
        self._beyond_usual()
