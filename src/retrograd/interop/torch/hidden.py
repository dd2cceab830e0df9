"""Parameters that a module holds in a plain list, tuple or dictionary, where PyTorch does not register them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn


def hidden(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Return the unregistered parameters in the model's plain containers, by the container's path."""
    registered = {id(p) for p in model.parameters()}
    by_path: dict[str, list[nn.Parameter]] = {}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and isinstance(value, (list, tuple, dict)):
                unregistered = [p for p in _parameters(value) if id(p) not in registered]
                if unregistered:
                    by_path[f"{path}.{name}" if path else name] = unregistered
    return by_path


def _parameters(value: Any) -> Iterator[nn.Parameter]:
    if isinstance(value, nn.Parameter):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _parameters(part)
