"""Loops for every fault: a sick one that must be found, a healthy one, and one that only looks alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from retrograd.interop.torch.chart import Chart, watch

torch.set_num_threads(1)  # small tensors
ROWS, BATCH = 96, 16


class Loops(NamedTuple):
    sick: Callable[[], Chart]
    healthy: Callable[[], Chart]
    near_miss: Callable[[], Chart]


def data(classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(ROWS) % classes
    x = torch.randn(ROWS, 6, generator=draw) + 3 * F.one_hot(y, 6)
    return x, y


def network(*more: nn.Module, drop: float = 0.0, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(drop), nn.Linear(16, outputs), *more)


def train(
    model=None, *, optimizer=None, criterion=F.cross_entropy, epochs=8, order=None, batch=None, zero=True, backward=True,
    step=True, before_step=None, after_step=None, every=1, share=1.0, mode="train", validate="eval", target=None,
    start=None, loss_of=None, frozen=(),
):  # fmt: skip
    """One loop with a switch for each thing that a user may get wrong."""
    x, y = data()
    model = network() if model is None else model
    optimizer = torch.optim.SGD(model.parameters(), 0.1) if optimizer is None else optimizer
    draw = torch.Generator().manual_seed(1)
    with watch(model, optimizer, frozen=frozen) as chart:
        turn = 0
        for _ in range(epochs):
            model.train(mode == "train")
            rows = torch.randperm(ROWS, generator=draw) if order is None else order
            for i in range(0, ROWS, BATCH):
                idx = rows[i : i + BATCH]
                xb, yb = (x[idx], y[idx]) if batch is None else batch(x, y, idx)
                output = model(xb)
                loss = (
                    criterion(output, yb if target is None else target(yb)) if loss_of is None else loss_of(output, yb)
                )
                turn += 1
                if zero and every == 1:
                    optimizer.zero_grad()
                if backward:
                    (loss * share).backward()
                if before_step:
                    before_step(model)
                if step and turn % every == 0:
                    optimizer.step()
                    if every > 1:
                        optimizer.zero_grad()
                if after_step:
                    after_step(model, loss)
            if validate:
                model.train(validate == "train")
                with torch.no_grad():
                    criterion(model(x), y if target is None else target(y)) if loss_of is None else None
    return chart


def clip(model):
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)


def flip(model):
    for p in model.parameters():
        p.grad.neg_()


def by_copies():
    def update(model):
        for p in model.parameters():
            p = p - 0.1 * p.grad

    return train(step=False, before_step=update)


def by_hand():
    def update(model):
        with torch.no_grad():
            for p in model.parameters():
                p -= 0.1 * p.grad

    return train(step=False, before_step=update)


def last_layer_only(**more):
    model = network()
    return train(model, optimizer=torch.optim.SGD(model[-1].parameters(), 0.1), **more)


def frozen_first(declared=False, trained=False):
    model = network()
    if trained:
        with torch.no_grad():  # long tails, as training leaves them
            model[0].weight.copy_(model[0].weight.abs() ** 4 * model[0].weight.sign() * 1e3)
    model[0].requires_grad_(False)
    return train(model, frozen=("0",) if declared else ())


def new_optimizers(every):
    x, y = data()
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with watch(model, optimizer) as chart:
        for turn in range(40):
            if turn % every == 0:
                optimizer = torch.optim.Adam(model.parameters(), 0.01)
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return chart


class Cut(nn.Module):
    def __init__(self, detach):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.detach = nn.Linear(6, 16), nn.Linear(16, 3), detach

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        return self.last(hidden.detach() if self.detach else hidden)


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.used, self.spare = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        return self.used(x)


def keeping(detach):
    kept = []
    return train(after_step=lambda model, loss: kept.append(loss.detach() if detach else loss))


def scheduled(steps):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 48) if steps is None else None
    scheduler = scheduler or torch.optim.lr_scheduler.StepLR(optimizer, steps, 0.1)
    return train(model, optimizer=optimizer, after_step=lambda *_: scheduler.step())


def shuffled_apart(x, y, idx):
    return x[idx], y[torch.randperm(ROWS)[:BATCH]]


def noisy_bits(x, y, idx):
    """Two inputs with all answers: contradictions lie in the data."""
    return (x[idx] > 1.0).float() * 0 + (idx % 2)[:, None], torch.randint(0, 3, (BATCH,))


def column(outputs, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of this one itself
        return F.mse_loss(outputs, y.float())


def column_by_hand(outputs, y):
    return ((outputs - y.float()[:, None]) ** 2).mean()


def batch_norm(rows):
    x, y = data()
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 4, 3), nn.BatchNorm1d(4), nn.Flatten(), nn.Linear(16, 3)
    )
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with watch(model, optimizer) as chart:
        for i in range(40):
            at = torch.arange(i, i + rows) % ROWS
            optimizer.zero_grad()
            F.cross_entropy(model(x[at]), y[at]).backward()
            optimizer.step()
    return chart


def reshaped(how):
    def batch(x, y, idx):
        xb = x[idx]
        if how == "view":
            xb = xb.t().contiguous().view(BATCH, 6)
        elif how == "split":
            xb = xb.view(4, 4, 6).view(BATCH, 6)
        return (xb.t().t() if how == "transpose" else xb), y[idx]

    return train(batch=batch)


def unstable():
    torch.manual_seed(0)
    model = nn.Linear(6, 3)
    return train(model, optimizer=torch.optim.SGD(model.parameters(), 1.0),
                 loss_of=lambda out, y: F.mse_loss(out, F.one_hot(y, 3).float()))  # fmt: skip


def half():
    x, y = data()
    model = network().bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer) as chart:
        for _ in range(20):
            optimizer.zero_grad()
            F.cross_entropy(model(x.bfloat16()), y).backward()
            optimizer.step()
    return chart


def with_autocast():
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with watch(model, optimizer) as chart:
        for _ in range(20):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
    return chart


def deep(activation, init=None, rate=0.1, scale=1.0, **more):
    torch.manual_seed(0)
    layers = [layer for _ in range(8) for layer in (nn.Linear(6, 6), activation())]
    model = nn.Sequential(*layers, nn.Linear(6, 3))
    for parameter in model.parameters():
        if init is not None and parameter.ndim == 2:
            nn.init.constant_(parameter, init) if isinstance(init, float) else init(parameter)
    return train(model, optimizer=torch.optim.SGD(model.parameters(), rate),
                 batch=lambda x, y, idx: (scale * x[idx], y[idx]), **more)  # fmt: skip


def dead():
    model = network()
    nn.init.constant_(model[0].bias, -100.0)
    return train(model)


def saturated():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    nn.init.constant_(model[0].bias, 50.0)
    return train(model)


def not_a_number():
    return train(batch=lambda x, y, idx: (x[idx] / (x[idx] * 0), y[idx]))


def rate(value, **more):
    model = network()
    return train(model, optimizer=torch.optim.SGD(model.parameters(), value), **more)


def no_answers(**more):
    draw = torch.Generator().manual_seed(5)
    x, answers = torch.randn(2 * ROWS, 6, generator=draw), torch.randint(0, 3, (2 * ROWS,), generator=draw)

    def batch(_, __, idx):
        rows = torch.randperm(2 * ROWS, generator=draw)[: 2 * BATCH]
        return x[rows], answers[rows]

    return train(batch=batch, epochs=20)


def clean():
    return train()


LOOPS = {
    "gradients_not_zeroed": Loops(lambda: train(zero=False), clean, lambda: train(every=4, share=0.25, epochs=12)),
    "accumulation_not_divided": Loops(
        lambda: train(every=4, epochs=12), clean, lambda: train(every=4, share=0.25, epochs=12)
    ),
    "gradients_changed_after_step": Loops(
        lambda: train(after_step=lambda model, loss: clip(model)), clean, lambda: train(before_step=clip)
    ),
    "ascent": Loops(lambda: train(before_step=flip), clean, lambda: rate(0.5)),
    "no_update": Loops(lambda: train(step=False), clean, by_hand),
    "updates_a_copy": Loops(by_copies, clean, by_hand),
    "not_in_optimizer": Loops(last_layer_only, clean, lambda: frozen_first(declared=True)),
    "frozen_parameters": Loops(frozen_first, clean, lambda: frozen_first(declared=True)),
    "optimizer_recreated": Loops(lambda: new_optimizers(1), clean, lambda: new_optimizers(20)),
    "trains_in_eval": Loops(lambda: train(network(drop=0.3), mode="eval"), clean, lambda: train(mode="eval")),
    "validates_in_train": Loops(
        lambda: train(network(drop=0.3), validate="train"), clean, lambda: train(validate="train")
    ),
    "graph_cut": Loops(lambda: train(Cut(True)), lambda: train(Cut(False)), lambda: train(Unused())),
    "graphs_kept": Loops(lambda: keeping(False), clean, lambda: keeping(True)),
    "softmax_twice": Loops(lambda: train(network(nn.Softmax(1))), clean, lambda: train(network(nn.LogSoftmax(1)))),
    "not_log_probabilities": Loops(
        lambda: train(network(nn.Softmax(1)), criterion=F.nll_loss),
        clean,
        lambda: train(network(nn.LogSoftmax(1)), criterion=F.nll_loss),
    ),
    "softmax_over_rows": Loops(
        lambda: train(network(nn.LogSoftmax(0)), criterion=F.nll_loss),
        clean,
        lambda: train(network(nn.LogSoftmax(1)), criterion=F.nll_loss),
    ),
    "broadcast": Loops(
        lambda: train(network(outputs=1), loss_of=column),
        clean,
        lambda: train(network(outputs=1), loss_of=column_by_hand),
    ),
    "wrong_dtype": Loops(half, clean, with_autocast),
    "answers_apart": Loops(lambda: train(batch=shuffled_apart, epochs=20), clean, lambda: train(batch=noisy_bits)),
    "same_batch": Loops(
        lambda: train(batch=lambda x, y, idx: (x[:BATCH], y[:BATCH])), clean, lambda: train(order=torch.arange(ROWS))
    ),
    "sorted_rows": Loops(
        lambda: train(order=torch.arange(ROWS).sort(stable=True).values.reshape(-1, 3).T.reshape(-1)),
        clean,
        lambda: train(order=torch.arange(ROWS)),
    ),
    "rows_left_out": Loops(lambda: batch_norm(1), lambda: batch_norm(8), lambda: batch_norm(2)),
    "view_for_permute": Loops(lambda: reshaped("view"), lambda: reshaped("transpose"), lambda: reshaped("split")),
    "rate_vanishes": Loops(lambda: scheduled(3), clean, lambda: scheduled(None)),
    "nonfinite": Loops(not_a_number, clean, lambda: rate(0.5)),
    "no_signal": Loops(no_answers, clean, lambda: train(step=False)),
    "stuck": Loops(lambda: rate(1e-9), clean, lambda: rate(0.02)),
    "dead_units": Loops(dead, clean, lambda: rate(0.3)),
    "saturation": Loops(saturated, lambda: deep(nn.Tanh, epochs=2), clean),
    "vanishing_gradients": Loops(lambda: deep(nn.Sigmoid), clean, lambda: deep(nn.Tanh)),
    "exploding_gradients": Loops(unstable, clean, lambda: train(every=4, share=0.25, epochs=12)),
    "update_size": Loops(lambda: rate(4e-6), clean, lambda: rate(0.02)),
    "constant_output": Loops(lambda: deep(nn.ReLU, 0.0), clean, lambda: rate(1e-9)),
    "unscaled_inputs": Loops(
        lambda: rate(1.0, batch=lambda x, y, idx: (1000 * x[idx], y[idx])), clean, lambda: rate(1e-9)
    ),
}


def runs(model, optimizer, loss_of, steps=40, before=None, after=None):
    """The shortest loop: a new minibatch, `loss_of(model, x, y)`, and a switch before and after the backward pass."""
    x, y = data()
    with watch(model, optimizer) as chart:
        for i in range(steps):
            rows = torch.randint(0, ROWS, (BATCH,), generator=torch.Generator().manual_seed(i))
            optimizer.zero_grad()
            if before:
                before(model)
            loss_of(model, x[rows], y[rows]).backward()
            if after:
                after(i)
            optimizer.step()
    return chart


def sgd(model, rate=0.05):
    return torch.optim.SGD(model.parameters(), rate)


def entropy(model, x, y):
    return F.cross_entropy(model(x), y)


def accumulated(zero_each: bool):
    x, y = data()
    model = network()
    optimizer = sgd(model)
    with watch(model, optimizer) as chart:
        for i in range(48):
            if zero_each:
                optimizer.zero_grad()
            rows = torch.arange(i % 6 * BATCH, i % 6 * BATCH + BATCH)
            (F.cross_entropy(model(x[rows]), y[rows]) / 4).backward()
            if i % 4 == 3:
                optimizer.step()
                if not zero_each:
                    optimizer.zero_grad()
    return chart


def adversarial():
    """The first backward pass of each turn is for the inputs; its gradients of the parameters are not wanted."""
    x, y = data()
    model = network()
    optimizer = sgd(model)
    with watch(model, optimizer) as chart:
        for _ in range(30):
            moved = x.clone().requires_grad_()
            F.cross_entropy(model(moved), y).backward()
            optimizer.zero_grad()
            F.cross_entropy(model(x + 0.1 * moved.grad.sign()), y).backward()
            optimizer.step()
            optimizer.zero_grad()
    return chart


def scaled(unscale: bool, enabled: bool = True):
    x, y = data()
    model = network()
    optimizer, scaler = sgd(model), torch.amp.GradScaler("cpu", enabled=enabled)
    with watch(model, optimizer) as chart:
        for _ in range(20):
            optimizer.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y)).backward()
            if unscale:
                scaler.unscale_(optimizer)
            clip(model)
            scaler.step(optimizer)
            scaler.update()
    return chart


class Bent(torch.autograd.Function):
    """x tanh(x), with a backward that a flag spoils."""

    ignores = True

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.tanh(x)

    @staticmethod
    def backward(ctx, dy):
        (x,) = ctx.saved_tensors
        slope = torch.tanh(x) + x * (1 - torch.tanh(x) ** 2)
        return slope if Bent.ignores else dy * slope


class Step(torch.autograd.Function):
    """The sign, with a straight-through gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.sign()

    @staticmethod
    def backward(ctx, dy):
        return dy


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def own_function(function, ignores=True):
    Bent.ignores = ignores
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), Calls(function), nn.Linear(16, 3))
    return runs(model, sgd(model), entropy, 20)


def binary(low):
    model = network(outputs=1)
    return runs(model, sgd(model), lambda m, x, y: F.binary_cross_entropy_with_logits(m(x)[:, 0], (y > 0) + low))


def before_softmax(*more):
    model = network(*more)
    with torch.no_grad():
        model[3].bias[1:] -= 9.0
    return runs(model, sgd(model), entropy)


class Language(nn.Module):
    def __init__(self, both: bool):
        super().__init__()
        self.embedding = nn.Embedding(7, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True, bidirectional=both)
        self.out = nn.Linear(16 if both else 8, 7)

    def forward(self, x):
        return self.out(self.rnn(self.embedding(x))[0])


def language(both: bool, shift: int = 1):
    torch.manual_seed(0)
    model = Language(both)

    def loss_of(model, x, y):
        tokens = (torch.arange(9) * 3 + torch.randint(0, 7, (8, 1))) % 7
        logits = model(tokens[:, :8])
        return F.cross_entropy(logits.reshape(-1, 7), tokens[:, shift : 8 + shift].reshape(-1))

    return runs(model, sgd(model, 0.3), loss_of)


class Series(nn.Module):
    def __init__(self, batch_first: bool):
        super().__init__()
        self.first, self.rnn = nn.Linear(2, 8), nn.GRU(8, 8, batch_first=batch_first)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.rnn(self.first(x.reshape(len(x), 3, 2)))[0][:, -1])


def series(batch_first: bool, steps: int = 20):
    torch.manual_seed(0)
    model = Series(batch_first)
    return runs(model, sgd(model), entropy, steps)


def nodes():
    """One graph for ever: its rows are nodes, which see each other."""
    x, y = data()
    torch.manual_seed(0)
    near = (torch.rand(ROWS, ROWS) < 0.1).float() + torch.eye(ROWS)
    first, last = nn.Linear(6, 8), nn.Linear(8, 3)

    class Graph(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = first, last

        def forward(self, x):
            return self.last(torch.relu(near @ self.first(x)))

    model = Graph()
    optimizer = sgd(model, 0.01)
    with watch(model, optimizer) as chart:
        for _ in range(20):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return chart


def shared_by_two(apart: bool):
    x, y = data()
    model = network()
    first = torch.optim.Adam(model[0].parameters() if apart else model.parameters(), 0.01)
    second = torch.optim.SGD(model[3].parameters(), 0.05)
    with watch(model) as chart:
        for _ in range(30):
            for optimizer in (first, second):
                optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            for optimizer in (first, second):
                optimizer.step()
    return chart


def in_phases():
    x, y = data()
    model = network()
    with watch(model) as chart:
        for optimizer in (torch.optim.SGD(model[3].parameters(), 0.05), torch.optim.Adam(model.parameters(), 0.01)):
            for _ in range(20):
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()
    return chart


class Listed(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layers = kind([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.out(x)


def listed(kind, all_held=False):
    torch.manual_seed(0)
    model = Listed(kind)
    held = [*model.out.parameters(), *(p for layer in model.layers for p in layer.parameters())]
    return runs(model, torch.optim.SGD(held if all_held else model.parameters(), 0.05), entropy)


def averaged(momentum):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16, momentum=momentum), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        model[0].weight *= 8
    return runs(model, sgd(model), entropy, 60)


def with_rate(schedule):
    x, y = data()
    model = network()
    optimizer = sgd(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    with watch(model, optimizer) as chart:
        for _ in range(40):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
            scheduler.step()
    return chart


LOOPS |= {
    "gradients_thrown_away": Loops(lambda: accumulated(True), lambda: accumulated(False), adversarial),
    "clipping_in_vain": Loops(lambda: scaled(False), lambda: scaled(True), lambda: scaled(False, enabled=False)),
    "wrong_backward": Loops(
        lambda: own_function(Bent.apply),
        lambda: own_function(Bent.apply, ignores=False),
        lambda: own_function(Step.apply),
    ),
    "target_out_of_domain": Loops(lambda: binary(1.0), lambda: binary(0.0), lambda: binary(0.0)),
    "relu_on_logits": Loops(lambda: before_softmax(nn.ReLU()), before_softmax, lambda: before_softmax(nn.LeakyReLU())),
    "answer_in_the_input": Loops(lambda: language(True), lambda: language(False), lambda: language(True, shift=0)),
    "rows_mixed": Loops(lambda: series(False), lambda: series(True), nodes),
    "two_optimizers": Loops(lambda: shared_by_two(False), lambda: shared_by_two(True), in_phases),
    "unregistered": Loops(lambda: listed(list), lambda: listed(nn.ModuleList), lambda: listed(list, all_held=True)),
    "averages_lag": Loops(lambda: averaged(1e-4), lambda: averaged(0.1), lambda: averaged(None)),
    "rate_is_zero": Loops(
        lambda: with_rate(lambda i: 0.0), lambda: with_rate(lambda i: 1.0), lambda: with_rate(lambda i: min(i / 5, 1))
    ),
}
