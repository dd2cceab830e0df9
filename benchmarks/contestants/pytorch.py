"""PyTorch: as one writes it, tuned (channels last, fused Adam), and compiled (which needs a C++ compiler)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from contestant import Absent, Contestant
from torch import Tensor, nn
from torch.nn import functional as F
from workloads import CNN, GPT, LSTM, RATE, Dense, ResNet, Weights, Workload


class PyTorch(Contestant):
    tuned = False

    def __init__(self, work: Workload) -> None:
        super().__init__(work)
        self.model = MODELS[type(work)](work)
        with torch.no_grad():
            self.model.load(work.weights())
        if self.tuned:
            self.model = self.model.to(memory_format=torch.channels_last)
        self.batches = [(self._given(x), torch.from_numpy(y).long()) for x, y in self.batches]
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=RATE, fused=self.tuned or None)
        self.value: Callable[[Tensor, Tensor], Tensor] = self.loss
        self.update = self.optimizer.step

    def _given(self, x: np.ndarray) -> Tensor:
        tensor = torch.from_numpy(x)
        if tensor.ndim != 4:
            return tensor
        tensor = tensor.permute(0, 3, 1, 2)
        return tensor.contiguous(memory_format=torch.channels_last if self.tuned else torch.contiguous_format)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        logits = self.model(x)
        return F.cross_entropy(logits.flatten(0, -2), y.flatten())

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = self.value(x, y)
        loss.backward()
        self.update()
        return loss.detach()


class TunedPyTorch(PyTorch):
    tuned = True


class CompiledPyTorch(TunedPyTorch):
    """Forward, loss and backward as one compiled graph, Adam as another: `backward()` itself cannot be inside one."""

    def __init__(self, work: Workload) -> None:
        if not any(map(shutil.which, ("g++", "clang++", "c++"))):
            raise Absent("torch.compile needs a C++ compiler")
        super().__init__(work)
        trained = self.optimizer.param_groups[0]["params"]
        self.optimizer = torch.optim.Adam(trained, lr=torch.tensor(RATE))  # a number would compile anew for each step
        self.value, self.update = torch.compile(self.loss), torch.compile(self.optimizer.step)


# --------------------------------------------------------------------------------------------------------- models


def fill(module: nn.Module, arrays: dict[str, np.ndarray]) -> None:
    """Copy weights as y = x W and kernels with channels last into a layer of PyTorch."""
    weight = torch.from_numpy(arrays["scale"] if "scale" in arrays else arrays["weight"])
    module.weight.copy_({2: lambda w: w.T, 4: lambda w: w.permute(3, 2, 0, 1)}.get(weight.ndim, lambda w: w)(weight))
    if "bias" in arrays:
        module.bias.copy_(torch.from_numpy(arrays["bias"]))


class Model(nn.Module):
    """Modules by the names of the weights."""

    def named_layers(self, layers: dict[str, nn.Module]) -> None:
        self.layer = nn.ModuleDict(layers)

    def load(self, weights: Weights) -> None:
        for name, arrays in weights.items():
            fill(self.layer[name], arrays)


class MLP(Model):
    def __init__(self, work: Dense) -> None:
        super().__init__()
        pairs = enumerate(zip(work.widths, work.widths[1:], strict=False), 1)
        self.named_layers({f"dense_{i}": nn.Linear(*pair) for i, pair in pairs})

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layer.values()
        for layer in hidden:
            x = F.relu(layer(x))
        return last(x)


class ConvNet(Model):
    def __init__(self, work: CNN) -> None:
        super().__init__()
        self.side, self.last = work.side // 4, work.filters[1]
        first, second = work.filters
        self.named_layers(
            {
                "conv_1": nn.Conv2d(1, first, 3, padding=1),
                "conv_2": nn.Conv2d(first, second, 3, padding=1),
                "dense_1": nn.Linear(self.side**2 * second, work.hidden),
                "dense_2": nn.Linear(work.hidden, 10),
            }
        )

    def load(self, weights: Weights) -> None:
        dense = weights["dense_1"]["weight"]  # its rows in the order in which flatten meets channels that stand first
        rows = dense.reshape(self.side, self.side, self.last, -1).transpose(2, 0, 1, 3).reshape(dense.shape)
        super().load({**weights, "dense_1": {**weights["dense_1"], "weight": rows}})

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.layer["conv_1"](x)), 2)
        x = F.max_pool2d(F.relu(self.layer["conv_2"](x)), 2)
        return self.layer["dense_2"](F.relu(self.layer["dense_1"](x.flatten(1))))


class ResidualNet(Model):
    def __init__(self, work: ResNet) -> None:
        super().__init__()
        self.normed, self.count = work.normed, work.convolutions
        layers: dict[str, nn.Module] = {"dense_1": nn.Linear(work.filters, 10)}
        for i in range(1, self.count + 1):
            channels = 3 if i == 1 else work.filters
            layers[f"conv_{i}"] = nn.Conv2d(channels, work.filters, 3, padding=1, bias=not work.normed)
            if work.normed:
                layers[f"norm_{i}"] = nn.BatchNorm2d(work.filters)
        self.named_layers(layers)

    def convolve(self, i: int, x: Tensor) -> Tensor:
        x = self.layer[f"conv_{i}"](x)
        return self.layer[f"norm_{i}"](x) if self.normed else x

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.convolve(1, x))
        for i in range(2, self.count, 2):
            x = x + self.convolve(i + 1, F.relu(self.convolve(i, x)))
        return self.layer["dense_1"](x.mean((2, 3)))


class Recurrent(Model):
    def __init__(self, work: LSTM) -> None:
        super().__init__()
        self.lstm = nn.LSTM(work.features, work.hidden, batch_first=True)
        self.lstm.bias_hh_l0.requires_grad_(False)  # a second bias would learn twice as fast as one
        self.named_layers({"dense_1": nn.Linear(work.hidden, 10)})

    def load(self, weights: Weights) -> None:
        arrays = weights["lstm"]
        self.lstm.weight_ih_l0.copy_(torch.from_numpy(arrays["input_weight"].T))
        self.lstm.weight_hh_l0.copy_(torch.from_numpy(arrays["recurrent_weight"].T))
        self.lstm.bias_ih_l0.copy_(torch.from_numpy(arrays["bias"]))
        self.lstm.bias_hh_l0.zero_()
        super().load({"dense_1": weights["dense_1"]})

    def forward(self, x: Tensor) -> Tensor:
        return self.layer["dense_1"](self.lstm(x)[0][:, -1])


class Transformer(Model):
    def __init__(self, work: GPT) -> None:
        super().__init__()
        width = work.width
        self.heads, self.depth = work.heads, work.layers
        self.embedding = nn.Embedding(work.vocabulary, width)
        self.positions = nn.Parameter(torch.zeros(work.time, width))
        layers: dict[str, nn.Module] = {"final_norm": nn.LayerNorm(width), "head": nn.Linear(width, work.vocabulary)}
        for i in range(1, work.layers + 1):
            layers |= {
                f"{i}/attention_norm": nn.LayerNorm(width),
                f"{i}/qkv": nn.Linear(width, 3 * width),
                f"{i}/projection": nn.Linear(width, width),
                f"{i}/norm": nn.LayerNorm(width),
                f"{i}/hidden": nn.Linear(width, 4 * width),
                f"{i}/output": nn.Linear(4 * width, width),
            }
        self.named_layers(layers)

    def load(self, weights: Weights) -> None:
        self.embedding.weight.copy_(torch.from_numpy(weights["embedding"]["weight"]))
        self.positions.copy_(torch.from_numpy(weights["positions"]["weight"]))
        super().load({name: own for name, own in weights.items() if name in self.layer})

    def attend(self, i: int, x: Tensor) -> Tensor:
        batch, time, width = x.shape
        parts = self.layer[f"{i}/qkv"](x).split(width, -1)
        q, k, v = (part.view(batch, time, self.heads, -1).transpose(1, 2) for part in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.layer[f"{i}/projection"](y.transpose(1, 2).reshape(x.shape))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embedding(ids) + self.positions
        for i in range(1, self.depth + 1):
            x = x + self.attend(i, self.layer[f"{i}/attention_norm"](x))
            hidden = F.gelu(self.layer[f"{i}/hidden"](self.layer[f"{i}/norm"](x)), approximate="tanh")
            x = x + self.layer[f"{i}/output"](hidden)
        return self.layer["head"](self.layer["final_norm"](x))


MODELS: dict[type[Workload], Callable[[Any], Model]] = {
    Dense: MLP,
    CNN: ConvNet,
    ResNet: ResidualNet,
    LSTM: Recurrent,
    GPT: Transformer,
}
