"""What watching a PyTorch loop costs: the same loop with and without, step by step in turns, in processor time.

Each loop runs in a process of its own; the two of a pair take turns of a few steps, so that both meet the same machine.
All of the watched loop counts: the making of the chart, the long first look, the end.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import retrograd

STRETCH = 20  # steps from change to change
WARM = 20  # steps of another model before


class Workload:
    """A model, the shape of its rows, and its classes."""

    def __init__(
        self,
        name: str,
        make: Callable[[], nn.Module],
        shape: tuple[int, ...],
        batch: int,
        optimizer: str,
        rate: float,
        classes: int,
    ) -> None:
        self.name, self.make, self.shape, self.batch = name, make, shape, batch
        self.optimizer, self.rate, self.classes = optimizer, rate, classes


class LastOfLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(16, 32, batch_first=True), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0][:, -1])


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.1, batch_first=True)
        self.encoder, self.out = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.encoder(x).mean(1))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(16 * 49, 10),
    )  # fmt: skip


def mlp(*sizes: int) -> nn.Module:
    layers = [layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


WORKLOADS = [
    Workload("MLP 2-8-2", lambda: mlp(2, 8, 2), (2,), 4, "SGD", 0.1, 2),
    Workload("MLP 784-256-10", lambda: mlp(784, 256, 10), (784,), 64, "Adam", 1e-3, 10),
    Workload("CNN 28x28, batch norm", cnn, (1, 28, 28), 16, "Adam", 1e-3, 10),
    Workload("LSTM 32, 20 tokens", LastOfLSTM, (20, 16), 16, "Adam", 1e-3, 4),
    Workload("Transformer 2 x 32", Transformer, (16, 32), 16, "Adam", 1e-3, 4),
]


def loop(workload: Workload, watched: bool, orders: Iterator[int]) -> Iterator[Any]:
    """Take as many steps as ordered each time, and yield the processor's seconds; at last the weights."""
    torch.manual_seed(0)
    begin = time.process_time()
    model = workload.make()
    make: Any = getattr(torch.optim, workload.optimizer)
    optimizer = make(model.parameters(), workload.rate)
    x = torch.randn(8 * workload.batch, *workload.shape)
    y = (x.flatten(1)[:, :16] @ torch.randn(min(16, x[0].numel()), workload.classes)).argmax(1)  # can be learnt
    chart = retrograd.torch.watch(model, optimizer) if watched else None
    if chart is not None:
        chart.__enter__()
    for steps in orders:
        for step in range(steps):
            at = step % 8 * workload.batch
            loss = F.cross_entropy(model(x[at : at + workload.batch]), y[at : at + workload.batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        now = time.process_time()
        yield now - begin
        begin = time.process_time()
    if chart is not None:
        chart.__exit__(None, None, None)
    yield time.process_time() - begin
    yield [value.tolist() for value in model.state_dict().values()]


def serve(index: int, watched: bool, pipe: Connection) -> None:
    """Run one loop of a pair in a process."""
    torch.set_num_threads(1)
    for _ in loop(WORKLOADS[index], watched, iter([WARM])):
        pass
    pipe.send("ready")
    for result in loop(WORKLOADS[index], watched, iter(pipe.recv, 0)):
        pipe.send(result)


def pair(index: int, steps: int) -> tuple[float, float, bool]:
    """Return the seconds of the plain and of the watched loop, and whether both end on the same weights."""
    context = multiprocessing.get_context("fork")  # the same layout of memory for both
    pipes, processes = [], []
    for watched in (False, True):
        mine, other = context.Pipe()
        processes.append(context.Process(target=serve, args=(index, watched, other), daemon=True))
        processes[-1].start()
        mine.recv()
        pipes.append(mine)
    spent = [0.0, 0.0]
    orders = [STRETCH] * (steps // STRETCH) + [0]
    for turn, order in enumerate(orders):
        for side in (turn % 2, 1 - turn % 2):
            pipes[side].send(order)
            spent[side] += pipes[side].recv()
    weights = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join()
    return spent[0], spent[1], weights[0] == weights[1]


def table(lengths: tuple[int, ...] = (300, 1000), repeats: int = 3) -> list[dict[str, Any]]:
    """Measure every loop at every length, in shuffled order."""
    plan = [(index, steps) for index in range(len(WORKLOADS)) for steps in lengths] * repeats
    random.Random(0).shuffle(plan)
    results: dict[tuple[int, int], list[tuple[float, float, bool]]] = {}
    for index, steps in plan:
        results.setdefault((index, steps), []).append(pair(index, steps))
    rows = []
    for (index, steps), each in sorted(results.items()):
        ratios = [watched / plain - 1 for plain, watched, _ in each]
        rows.append({
            "loop": WORKLOADS[index].name, "batch": WORKLOADS[index].batch, "steps": steps,
            "microseconds a step": round(1e6 * median(plain for plain, _, _ in each) / steps, 1),
            "watching costs": round(median(ratios), 4), "least": round(min(ratios), 4), "most": round(max(ratios), 4),
            "same weights": all(same for *_, same in each),
        })  # fmt: skip
    return rows
