"""Interception of what every loop must call: `torch.autograd.backward` and the step of an optimizer."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from retrograd.interop.torch.hook import Hook
from retrograd.interop.torch.scaling import Scaling


class Listener(Protocol):
    """An object that is notified of backward passes from the turn `attention` on, and of steps."""

    turn: int  # number of backward passes so far
    attention: int
    scaling: Scaling  # notified of losses that a scaler multiplies, and of gradients that it divides

    def before_backward(self, given: Any) -> None:
        """Be notified that a backward pass is about to begin."""

    def after_backward(self, given: Any) -> None:
        """Be notified that it has ended."""

    def differentiated(self) -> None:
        """Be notified of a call of `torch.autograd.grad`."""

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Be notified that a step is about to be taken."""

    def after_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Be notified that it has been taken."""


_listeners: tuple[Listener, ...] = ()
_undo: list[Callable[[], None]] = []
_step_hooks: dict[int, tuple[Any, Any]] = {}


def attach(listener: Listener) -> None:
    """Notify a listener from now on."""
    global _listeners
    if not _listeners:
        _install()
    _listeners = (*_listeners, listener)


def detach(listener: Listener) -> None:
    """Stop notifying a listener; without listeners, PyTorch is restored."""
    global _listeners
    _listeners = tuple(other for other in _listeners if other is not listener)
    if not _listeners:
        while _undo:
            _undo.pop()()


def hear_forwards(observer: Any, wanted: bool) -> None:
    """Start or stop notifying an observer before the model's forward passes."""
    if wanted and observer.hears and observer.pre_hook is None:
        observer.pre_hook = observer.model.register_forward_pre_hook(Hook(observer.heard_forward))
    elif not wanted and observer.pre_hook is not None:
        observer.pre_hook.remove()
        observer.pre_hook = None


def hear_steps(listener: Listener, wanted: bool) -> bool:
    """Start or stop notifying a listener of steps; the hooks exist only as long as they are needed."""
    if wanted and id(listener) not in _step_hooks:
        _step_hooks[id(listener)] = (
            register_optimizer_step_pre_hook(lambda optimizer, *_: listener.before_step(optimizer)),
            register_optimizer_step_post_hook(lambda optimizer, *_: listener.after_step(optimizer)),
        )
    elif not wanted:
        for handle in _step_hooks.pop(id(listener), ()):
            handle.remove()
    return wanted


def _install() -> None:
    backward, grad = torch.autograd.backward, torch.autograd.grad

    @functools.wraps(backward)
    def heard_backward(  # explicit arguments: packing and unpacking them would cost more than everything else here
        tensors: Any,
        grad_tensors: Any = None,
        retain_graph: Any = None,
        create_graph: bool = False,
        grad_variables: Any = None,
        inputs: Any = None,
    ) -> None:
        for listener in _listeners:
            listener.turn += 1
            if listener.turn >= listener.attention:
                listener.before_backward(tensors)
        backward(tensors, grad_tensors, retain_graph, create_graph, grad_variables, inputs)
        for listener in _listeners:
            if listener.turn >= listener.attention:
                listener.after_backward(tensors)

    @functools.wraps(grad)
    def heard_grad(*args: Any, **kwargs: Any) -> Any:
        for listener in _listeners:
            listener.differentiated()
        return grad(*args, **kwargs)

    for name, heard, original in (("backward", heard_backward, backward), ("grad", heard_grad, grad)):
        _replace(torch.autograd, name, heard, original)
    _install_scaler()


def _install_scaler() -> None:
    scale, unscale = torch.amp.GradScaler.scale, torch.amp.GradScaler.unscale_

    @functools.wraps(scale)
    def heard_scale(self: torch.amp.GradScaler, outputs: Any) -> Any:
        scaled = scale(self, outputs)
        for listener in _listeners:
            listener.scaling.scaled(self, scaled)
        return scaled

    @functools.wraps(unscale)
    def heard_unscale(self: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> None:
        unscale(self, optimizer)
        for listener in _listeners:
            listener.scaling.unscaled()

    _replace(torch.amp.GradScaler, "scale", heard_scale, scale)
    _replace(torch.amp.GradScaler, "unscale_", heard_unscale, unscale)


def _replace(owner: Any, name: str, heard: Any, original: Any) -> None:
    setattr(owner, name, heard)
    _undo.append(functools.partial(setattr, owner, name, original))
