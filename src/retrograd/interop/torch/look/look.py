"""Interception of every PyTorch function call, with its arguments and its line, for one turn of the loop."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack, _pop_mode, _push_mode

from retrograd.interop.torch.journal import Activity, Journal, Reshaped
from retrograd.interop.torch.look.activity import ACTIVATIONS, activity
from retrograd.interop.torch.look.domains import DOMAINS, outside
from retrograd.interop.torch.look.floor import made_by
from retrograd.interop.torch.look.later import copied
from retrograd.interop.torch.look.loss_facts import read_loss
from retrograd.interop.torch.look.strides import misplaced
from retrograd.interop.torch.place import Place, here, within

LOSSES: dict[Any, str] = {
    F.cross_entropy: "cross_entropy",
    F.nll_loss: "nll_loss",
    F.mse_loss: "mse_loss",
    F.l1_loss: "l1_loss",
    F.smooth_l1_loss: "smooth_l1_loss",
    F.huber_loss: "huber_loss",
    F.binary_cross_entropy: "binary_cross_entropy",
    F.binary_cross_entropy_with_logits: "binary_cross_entropy_with_logits",
    F.kl_div: "kl_div",
}
BINARY = {"sub", "rsub", "add", "mul", "div", "pow", "eq"}
VIEWS = {"view", "reshape"}
DROPOUTS = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
REDUCTIONS = {"mean", "sum"}
MOST_COPIES, RECENT = 16, 64  # maximum number of reshapes and clipping calls kept: a loop repeats the same few
CLIPS = {
    "tensor",
    "_foreach_norm",
    "norm",
    "linalg_vector_norm",
    "_foreach_clamp_min_",
    "clamp_",
}  # the first calls in clipping
OPTIMIZING = ("clip_grad.py", os.path.join("optim", "optimizer.py"), "grad_scaler.py")
COPIES = {"clone", "copy_", "cat", "flatten", "detach", "view", "reshape"}
INTO_LOGITS = {"softmax", "log_softmax", "cross_entropy", "binary_cross_entropy_with_logits"}


class Look(TorchFunctionMode):
    """Reads the function calls of the loop. `stage` is where in its turn the loop is.

    prepare: before the forward pass · model: in it · loss: after it · backward · gap: after the backward pass · step
    """

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self.journal = journal
        self.wanted = False
        self.allowed = True
        self.on_stack = False
        self.handling = 0
        self.stage = "prepare"
        self.stepped = False  # whether there was a step in this turn
        self.parameters: set[int] = set()  # memory addresses of the parameters
        self.standing: set[int] = set()  # identities of the gradients before a step
        self.gradients: set[int] = set()  # identities of the gradients after a step
        self.symptoms = True  # whether to read more than rows and answers
        self.rows = 0  # number of rows in the last forward pass
        self.module = ""  # the running module
        self.activities: list[tuple[str, Callable[[], Activity]]] = []  # kind, and deferred reading
        self.names: dict[int, str] = {}  # modules of these activations, from the opening inspection
        self.calls = 0  # loss calls since the last backward pass
        self.numbers = 0  # size of the model's last output
        self.first: Tensor | None = None  # first result inside the model with a graph
        self.logits: list[tuple[Any, Place | None, Tensor]] = []  # result on relu outputs, where, dead units
        self.clipping = 0  # number of the backward pass before the clipping
        self.clipped: tuple[Place, int] | None = None
        self.target: Tensor | None = None
        self.asked: Place | None = None  # the line that compares outputs and target

    def settle(self) -> None:
        """Push this mode onto the stack of modes, or remove it from wherever it is.

        While it handles a call, PyTorch has taken it off and will put it back, so this waits for the next occasion.
        """
        if self.handling:
            return
        stack, wanted = _get_current_function_mode_stack(), self.wanted and self.allowed
        places = [i for i, mode in enumerate(stack) if mode is self]
        if wanted and not places:
            _push_mode(self)
        elif not wanted and places:
            above = [_pop_mode() for _ in stack[places[0] :]]
            for mode in reversed(above[:-1]):
                _push_mode(mode)
        self.on_stack = wanted

    def pause(self) -> None:
        """Leave the stack while an optimizer steps."""
        self.wanted = False
        self.settle()

    def begin(self, parameters: set[int]) -> None:
        """Start an inspection."""
        self.parameters = parameters
        self.turn()
        self.activities = []
        self.target = None
        self.wanted = True
        self.settle()

    def turn(self) -> None:
        """Start a turn: changes of gradients before the next step are not too late."""
        self.stepped = False
        self.gradients = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function, and read the call."""
        self.handling += 1
        try:
            return self._handle(func, args, kwargs or {})
        finally:
            self.handling -= 1

    def _handle(self, func: Any, args: Any, kwargs: Any) -> Any:
        if not self.wanted or self.stage in ("step", "backward"):
            return func(*args, **kwargs)
        try:
            result = func(*args, **kwargs)
        except Exception:
            self._guarded(self._refused, func, args, kwargs)
            raise
        self._guarded(self._read, func, args, kwargs, result)
        return result

    def _guarded(self, read: Callable[..., None], *about: Any) -> None:
        """Read a call, and keep errors of the reading out of the user's program."""
        try:
            read(*about)
        except Exception as error:
            self.journal.trouble.append(f"{read.__name__}: {error!r}")

    def _read(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        name = getattr(func, "__name__", "")
        if name in CLIPS and self.stage != "model" and within("clip_grad.py"):
            self._clip(name)
        if func in DOMAINS and self.symptoms and self.stage != "gap":
            self._domain(func, args, kwargs)
        if name in INTO_LOGITS and args:
            self._into_logits(args[0], result)
        if self.first is None and self.stage == "model" and isinstance(result, Tensor) and self._of_rows(args, result):
            self.first = result
        self._read_kind(func, name, args, kwargs, result)

    def _read_kind(self, func: Any, name: str, args: Any, kwargs: Any, result: Any) -> None:
        bare = name.strip("_")
        if func in LOSSES and self.stage != "gap":
            self._loss(func, args, kwargs, result)
        elif name in VIEWS:
            self._view(args[0], result)
        elif bare in BINARY and self.stage == "loss":
            self._broadcast(args, result, bare in ("sub", "rsub"))
        elif bare in REDUCTIONS and self.stage == "loss" and isinstance(result, Tensor) and result.ndim == 0:
            self._weigh(bare, result)
        elif name in ACTIVATIONS and self.stage == "model" and isinstance(result, Tensor):
            self._activation(ACTIVATIONS[name], result)
        elif name in DROPOUTS and not self.journal.moody and drops(*args[1:], **kwargs):
            self.journal.moody = (f"F.{name}",)
        elif self.stage == "gap":
            self._gap(name, bare, args, result)

    def _of_rows(self, args: Any, result: Tensor) -> bool:
        """Return whether a result with a graph was computed from rows of the minibatch, not just from parameters."""
        inputs = (arg for arg in args if isinstance(arg, Tensor) and not arg.requires_grad and arg.ndim)
        return result.requires_grad and result.ndim >= 2 and any(len(arg) == self.rows for arg in inputs)

    def _clip(self, name: str) -> None:
        """Note a clipping call, and whether the gradients are missing (`empty`), still `scaled`, or `right`."""
        place = here()
        state = "empty" if name == "tensor" else "scaled" if self.journal.scaling.gradients else "right"
        if place is not None and (place, self.clipping) != self.clipped and len(self.journal.clips) < RECENT:
            self.clipped = place, self.clipping
            self.journal.clips.append((place, state))
            if state == "scaled" and not self.journal.clip_scale:
                self.journal.clip_scale = self.journal.scaling.known()

    def _domain(self, func: Any, args: Any, kwargs: Any) -> None:
        report, place = outside(func, args, kwargs), here()
        if report is not None:
            self.journal.targets.add(lambda: (place, *report()))

    def _into_logits(self, logits: Any, result: Any) -> None:
        """Note where relu comes directly before softmax, sigmoid or their losses, and which units are dead."""
        if not isinstance(logits, Tensor) or not logits.requires_grad or logits.ndim < 2:
            return
        if made_by(logits.grad_fn, ("Relu",)):
            dead, place = (logits.detach() <= 0).reshape(-1, logits.shape[-1]).all(0), here()
            self.logits.append((result, place, dead))

    def _loss(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        pair = compared(args, kwargs)
        if pair is None:
            return
        prediction, target = pair
        self.target, self.asked, kind = target, here(), LOSSES[func]
        self.calls += 1
        self.journal.answers += prediction.numel() == self.numbers
        if not self.symptoms:
            return
        if prediction.shape[:1] == target.shape[:1] or func in (F.cross_entropy, F.nll_loss):
            self.journal.loss_calls.add(read_loss(kind, self.asked, prediction, target, result, kwargs))
            broadcast = result.ndim == 0 and func not in (F.cross_entropy, F.nll_loss)
            if broadcast and squares(prediction, target):
                n = len(prediction)
                self.journal.broadcasts.append((self.asked, tuple(prediction.shape), (n, n)))
        if result.ndim == 0:
            self._weigh(kind, result)

    def _refused(self, func: Any, args: Any, kwargs: Any) -> None:
        pair = compared(args, kwargs)
        if func in LOSSES and pair is not None:
            self.journal.failed_call = read_loss(LOSSES[func], here(), *pair, None, kwargs)()

    def _weigh(self, kind: str, result: Tensor) -> None:
        """Note the weight of this value in the differentiated one, as soon as it is known."""
        if self.symptoms and result.requires_grad and result.dtype.is_floating_point:
            slopes, scaling = self.journal.slopes, self.journal.scaling

            def hear(slope: Tensor) -> None:
                factor = scaling.factor()
                weight = slope.detach().clone() if factor is None else slope.detach() / factor
                slopes.add(lambda: (kind, float(weight)))

            result.register_hook(hear)

    def _broadcast(self, args: Any, result: Any, difference: bool) -> None:
        pair = [arg for arg in args[:2] if isinstance(arg, Tensor)]
        if len(pair) != 2 or pair[0].requires_grad == pair[1].requires_grad or not (pair[0].ndim and pair[1].ndim):
            return
        prediction, target = sorted(pair, key=lambda tensor: not tensor.requires_grad)
        if squares(prediction, target):
            self.journal.broadcasts.append((here(), tuple(prediction.shape), tuple(result.shape)))
        elif self.target is None and difference and prediction.shape == target.shape and len(target) == self.rows:
            self.target, self.asked = target, here()  # a factor may be a weight

    def _view(self, before: Any, after: Any) -> None:
        if not (isinstance(before, Tensor) and isinstance(after, Tensor)) or not misplaced(before.shape, after.shape):
            return
        place = here()
        key = (place, len(before.shape), len(after.shape))
        if place is not None and "site-packages" not in place.file and len(self.journal.reshapes) < MOST_COPIES:
            self.journal.reshapes.setdefault(key, Reshaped(place, tuple(before.shape), tuple(after.shape)))

    def _activation(self, kind: str, result: Tensor) -> None:
        # 64 activations per inspection: deeper networks show their faults in these
        if self.symptoms and result.is_floating_point() and result.ndim >= 2 and len(self.activities) < 64:
            at = len(self.activities)
            if self.module:
                self.names[at] = self.module
            name = self.names.get(at) or f"{kind} {sum(other == kind for other, _ in self.activities) + 1}"
            self.activities.append((kind, copied(result, lambda y: activity(name, kind, y))))

    def _gap(self, name: str, bare: str, args: Any, result: Any) -> None:
        """Read calls after the backward pass: arithmetic that copies parameters, gradients changed after a step."""
        if not args:
            return
        first = args[0]
        if name in COPIES and not self.stepped and self._own_gradient(first) and not within(*OPTIMIZING):
            self.journal.gradients_read = True
        changes = name.endswith("_") and not name.endswith("__") and not ("zero" in name or name == "fill_")
        if changes and self.stepped:
            touched = first if isinstance(first, (list, tuple)) else [first]
            if any(id(tensor) in self.gradients for tensor in touched) and name not in ("detach_", "requires_grad_"):
                self._note(self.journal.late_changes)
        elif (
            not self.stepped
            and bare in ("sub", "add", "rsub", "numpy")
            and not name.endswith("_") | name.startswith("__i")
        ):
            tensors = [arg for arg in args[:2] if isinstance(arg, Tensor)]
            if any(tensor.data_ptr() in self.parameters for tensor in tensors) and getattr(result, "ndim", 0) > 0:
                self._note(self.journal.copies)

    def _own_gradient(self, value: Any) -> bool:
        """Return whether a value is the gradient of a parameter, or a list that begins with one."""
        return id(value[0] if isinstance(value, (list, tuple)) and value else value) in self.standing

    @staticmethod
    def _note(places: list[Place]) -> None:
        place = here()
        if place is not None and len(places) < 1000:
            places.append(place)


def compared(args: Any, kwargs: Any) -> tuple[Tensor, Tensor] | None:
    """Return the prediction and the target of a loss call, if the prediction has a graph."""
    arguments = dict(zip(("input", "target"), args, strict=False)) | kwargs
    prediction, target = arguments.get("input"), arguments.get("target")
    if isinstance(prediction, Tensor) and isinstance(target, Tensor) and prediction.requires_grad:
        return prediction, target
    return None


def drops(p: float = 0.5, training: bool = True, *_: Any, **__: Any) -> bool:
    """Return whether a dropout call with these arguments drops anything."""
    return training and p > 0


def squares(prediction: Tensor, target: Tensor) -> bool:
    """Return whether each row of one would be compared with all rows of the other: (n, 1) and (n,), in either order."""
    shapes = {tuple(prediction.shape), tuple(target.shape)}
    n = len(prediction) if prediction.ndim else 0
    return n > 1 and shapes == {(n, 1), (n,)}
