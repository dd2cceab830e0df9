"""The domains of losses: the values that their targets may have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from retrograd.interop.torch.look.later import copied

READ = 4096  # maximum number of rows that are read
SIGNS = "-1 and 1"


def _interval(target: Tensor, _: Any) -> str:
    return "numbers from 0 to 1" if float(target.min()) < 0 or float(target.max()) > 1 else ""


def _signs(target: Tensor, _: Any) -> str:
    return "" if bool((target.abs() == 1).all()) else SIGNS


def _counts(target: Tensor, _: Any) -> str:
    return "non-negative counts" if float(target.min()) < 0 else ""


def _probabilities(target: Tensor, options: Any) -> str:
    logs = bool(options.get("log_target"))
    # rounding may raise the logarithm of 1 above 0
    wrong = float(target.max()) > 1e-6 if logs else float(target.min()) < 0
    return ("log-probabilities" if logs else "probabilities") if wrong else ""


def _shares(target: Tensor, options: Any) -> str:
    if not target.is_floating_point() or target.ndim < 2:
        return ""
    off = ((target.sum(1) - 1).abs() > 1e-2).float().mean()  # in half precision, sums are 1 within that
    return "class probabilities that sum to 1" if float(target.min()) < 0 or float(off) > 0.5 else ""


DOMAINS: dict[Any, tuple[str, Callable[[Tensor, Any], str]]] = {
    F.binary_cross_entropy: ("binary_cross_entropy", _interval),
    F.binary_cross_entropy_with_logits: ("binary_cross_entropy_with_logits", _interval),
    F.soft_margin_loss: ("soft_margin_loss", _signs),
    F.hinge_embedding_loss: ("hinge_embedding_loss", _signs),
    F.cosine_embedding_loss: ("cosine_embedding_loss", _signs),
    F.margin_ranking_loss: ("margin_ranking_loss", _signs),
    F.poisson_nll_loss: ("poisson_nll_loss", _counts),
    F.kl_div: ("kl_div", _probabilities),
    F.cross_entropy: ("cross_entropy", _shares),
}
PAIRS = {F.cosine_embedding_loss, F.margin_ranking_loss}


def outside(func: Any, args: Any, kwargs: Any) -> Callable[[], tuple[str, str, float, float]] | None:
    """Return a function that reports the loss, the targets it expects (empty if all is well), and the targets' range.

    None without targets.
    """
    name, expected = DOMAINS[func]
    target = kwargs.get("target", args[2 if func in PAIRS else 1] if len(args) > (2 if func in PAIRS else 1) else None)
    if not isinstance(target, Tensor) or not target.numel():
        return None

    def report(values: Tensor) -> tuple[str, str, float, float]:
        return name, expected(values, kwargs), float(values.min()), float(values.max())

    return copied(target.detach()[:READ] if target.ndim else target.detach(), report)
