"""The observations of a loop: plain numbers in bounded memory, from which faults are inferred."""

from __future__ import annotations

import weakref
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import nn

from retrograd.interop.torch.look.functions import Functions
from retrograd.interop.torch.look.later import Later
from retrograd.interop.torch.look.leaks import Leak
from retrograd.interop.torch.look.rows import Rows
from retrograd.interop.torch.look.series import Series
from retrograd.interop.torch.place import Place, here
from retrograd.interop.torch.scaling import Scaling

RECENT = 64  # observations kept of every kind


class LossCall(NamedTuple):
    """One call of a loss function: shapes, dtypes, and facts about the numbers that it received."""

    kind: str
    place: Place | None
    prediction: tuple[int, ...]
    target: tuple[int, ...]
    dtype: str
    target_dtype: str
    facts: frozenset[str]  # probabilities, log_probabilities, columns_sum_to_one, unit_interval, summed
    lowest: float  # smallest prediction
    value: float


class Update(NamedTuple):
    """The effect of one update, on a sample of every parameter."""

    along: float  # cosine between gradient and change; negative for a descent
    ratios: dict[str, float]  # rms of the change / rms of the parameter


class Reshaped(NamedTuple):
    """A view or reshape that keeps a dimension's size but changes its position."""

    place: Place
    before: tuple[int, ...]
    after: tuple[int, ...]


class Activity(NamedTuple):
    """The units of one activation in one inspection."""

    name: str
    kind: str
    dead: Any  # booleans, one per unit
    flat: Any  # booleans: the mean derivative is below 5 % of its maximum


class Gradients(NamedTuple):
    """Gradients after one backward pass."""

    norm: float
    relative: dict[str, float]  # by weight: norm of its gradient / norm of the weight
    nonzero: frozenset[str]
    nonfinite: tuple[str, ...]


class Growth(NamedTuple):
    """The gradient of one parameter after a backward pass."""

    turns: int  # number of backward passes from the same line that are summed in it
    ratio: float  # its norm / the norm of this pass's contribution
    error: float  # gradient - (gradient before + contribution of this pass), relative


@dataclass
class Journal:
    """Counts, and the details of the inspections."""

    model: nn.Module
    frozen: tuple[str, ...] = ()
    at_start: dict[str, int] = field(default_factory=dict)  # identities of the parameters at the start
    moody: tuple[str, ...] = ()  # modules that behave differently in training and in evaluation mode

    turns: int = 0  # all backward passes; the other counts cover only inspected ones
    judged_steps: int = 0  # steps whose gradients are known to be fresh or stale
    forwards: int = 0
    backwards: int = 0  # backward passes of this model
    steps: int = 0
    training_forwards: int = 0  # forward passes in training mode with gradients
    per_backward: Counter[int] = field(default_factory=Counter)  # forward passes with gradients before each backward
    per_step: Counter[int] = field(default_factory=Counter)  # backward passes before each step
    judged_passes: int = 0  # training passes whose mode is known
    eval_steps: int = 0  # those with the whole model in evaluation mode
    parts_in_eval: int = 0  # those with the changing modules in evaluation mode, but not the model's own flag
    sampled: int = 0  # forward passes in training mode without gradients, on the same inputs as the one before
    stale_steps: int = 0  # steps that use gradients left from an earlier step
    manual_updates: int = 0
    blind: int = 0  # forward passes in training mode without gradients
    blind_runs: int = 0  # sequences of such passes
    blind_prints: Counter[int] = field(default_factory=Counter)  # fingerprints of their inputs
    unguarded: int = 0  # forward passes in training mode with gradients that no backward pass uses
    losses: Series = field(default_factory=Series)
    rates: Series = field(default_factory=Series)
    top_rate: float = 0.0
    read_rates: int = 0
    zero_rates: int = 0  # readings with 0 in all groups
    low_from: int = -1  # the turn from which the rate stays below a thousandth of its maximum
    rate_turns: int = 0  # number of times that the rate rises again after it had nearly vanished
    scaling: Scaling = field(default_factory=Scaling)  # of the losses
    optimizers: int = 0  # number of optimizers that step this model
    others: int = 0  # number of optimizers that step another model
    alternations: Counter[frozenset[int]] = field(default_factory=Counter)  # of two optimizers on shared parameters
    held: set[int] = field(default_factory=set)  # identities of all parameters of the optimizers that step
    apart: bool = False  # whether two optimizers of disjoint parts take turns
    shared: set[int] = field(default_factory=set)  # parameters that two optimizers share
    foreign_shapes: list[tuple[int, ...]] = field(default_factory=list)
    fresh_steps: int = 0  # steps that are the first of their optimizer
    stateful: bool = False
    optimizer_kind: str = ""
    stepped: set[int] = field(default_factory=set)  # identities of the model's parameters that optimizers hold
    foreign: int = 0  # number of parameters of those optimizers that the model does not have

    # inspections
    looks: int = 0
    alive: int = 0  # maximum number of graphs of old passes that are kept alive
    tokens: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    places: dict[str, Place] = field(default_factory=dict)
    discards: list[tuple[int, int]] = field(default_factory=list)  # per step: backward passes lost, and used
    gradients_read: bool = False  # whether the loop copied gradients before the step
    clips: list[tuple[Place, str]] = field(default_factory=list)  # calls that clip, and the state of the gradients
    clip_scale: float = 0.0  # the scaler's factor in clipped gradients
    floors: list[bool] = field(default_factory=list)  # whether the differentiated value cannot fall below 0
    negated: list[bool] = field(default_factory=list)  # whether it is the negative of a loss
    targets: Later[tuple[Place | None, str, str, float, float]] = field(default_factory=Later)  # loss, domain, range
    relu_logits: list[tuple[Place | None, Any]] = field(default_factory=list)  # relu before logits: where, dead units
    leaks: list[Leak] = field(default_factory=list)
    functions: Functions = field(default_factory=Functions)
    hidden: dict[str, list[Any]] = field(default_factory=dict)  # parameters in plain lists of the model
    norms: Later[tuple[str, float, float]] = field(default_factory=Later)  # batch norm: path, lagging share, momentum
    loss_calls: Later[LossCall] = field(default_factory=Later)
    answers: int = 0  # calls of losses on as many numbers as the model outputs, so probably on its outputs
    parts: int = 0  # maximum number of loss calls for one backward pass
    slopes: Later[tuple[str, float]] = field(
        default_factory=lambda: Later(32)
    )  # weights of losses in the differentiated value: (kind, weight)
    broadcasts: deque[tuple[Place | None, tuple[int, ...], tuple[int, ...]]] = field(
        default_factory=lambda: deque(maxlen=RECENT)
    )
    reshapes: dict[tuple[Any, ...], Reshaped] = field(default_factory=dict)
    copies: list[Place] = field(default_factory=list)  # lines with arithmetic on parameters that changes none
    late_changes: list[Place] = field(default_factory=list)  # lines that change gradients after the step
    looked_steps: int = 0
    updates: Later[Update] = field(default_factory=Later)
    gradients: Later[Gradients] = field(default_factory=Later)
    activities: Later[list[Activity]] = field(default_factory=Later)
    had_gradient: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    single_row_norms: Counter[str] = field(default_factory=Counter)
    growth: Later[Growth] = field(default_factory=Later)
    kept: Later[float] = field(default_factory=Later)  # norm of the gradient at the step / after backward
    unequal: Later[float] = field(default_factory=Later)  # spread of the outputs over the rows
    input_range: tuple[float, float] = (0.0, 0.0)
    input_nonfinite: bool = False
    grainy: tuple[float, float] | None = None  # roughness of images as they are, and read as channels-last
    rows: Rows = field(default_factory=Rows)
    changed: set[str] = field(default_factory=set)  # parameters that differ from the start
    first_bad: str = ""  # where a value was not finite first
    failure: str = ""  # the message of the error that ended the loop
    failed_call: LossCall | None = None
    trouble: list[str] = field(default_factory=list)  # errors of the doctor itself

    def note(self, event: str, again: bool = False) -> None:
        """Note the user's line at which an event happens: the first one, or the latest if `again`."""
        if again or event not in self.places:
            place = here()
            if place is not None:
                self.places[event] = place

    @property
    def usual(self) -> int:
        """The usual number of forward passes with gradients per backward pass."""
        return self.per_backward.most_common(1)[0][0] if self.per_backward else 1

    @property
    def accumulated(self) -> int:
        """The usual number of backward passes per step."""
        return self.per_step.most_common(1)[0][0] if self.per_step else 1
