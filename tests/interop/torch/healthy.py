"""Right loops of many kinds. Each takes `look`, which watches or does not, and returns the model that it trains."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tests.interop.torch.loops import BATCH, ROWS, data, network

Look = Callable[..., Any]


def batches(epochs: int, x: torch.Tensor, y: torch.Tensor):
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            yield x[rows], y[rows]


def moody() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 3))


def adamw_with_warmup_and_cosine(look: Look) -> nn.Module:
    model, (x, y) = moody(), data()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=120)
    with look(model, optimizer):
        for xb, yb in batches(20, x, y):
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    return model


def warm_restarts(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 18)  # three epochs
    with look(model, optimizer):
        for xb, yb in batches(30, x, y):
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()
            schedule.step()
    return model


def accumulation(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with look(model, optimizer):
        for turn, (xb, yb) in enumerate(batches(40, x, y), 1):
            (F.cross_entropy(model(xb), yb) / 4).backward()
            if turn % 4 == 0:
                optimizer.step()
                optimizer.zero_grad()
    return model


def train_and_eval_in_turns(look: Look) -> nn.Module:
    model, (x, y) = moody(), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for turn, (xb, yb) in enumerate(batches(15, x, y)):
            model.train()
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()
            model.eval()
            if turn % 3 == 0:
                with torch.inference_mode():
                    model(x)
            elif turn % 7 == 0:
                model(x)  # somebody forgot no_grad: slow, not wrong
    return model


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(F.dropout(F.relu(self.first(x)), 0.2, self.training))


def dropout_by_function(look: Look) -> nn.Module:
    model, (x, y) = Functional(), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(12):
            model.train()
            for xb, yb in batches(1, x, y):
                optimizer.zero_grad()
                F.cross_entropy(model(xb), yb).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                model(x)
    return model


class Tuned(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = self.backbone(x)
        return self.head(features)


def fine_tuning_on_a_frozen_backbone(look: Look) -> nn.Module:
    x, y = data()
    pretrained = network()
    optimizer = torch.optim.Adam(pretrained.parameters(), 0.01)
    for xb, yb in batches(5, x, y):
        optimizer.zero_grad()
        F.cross_entropy(pretrained(xb), yb).backward()
        optimizer.step()
    model = Tuned(pretrained[:2])
    model.backbone.requires_grad_(False).eval()
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.01)
    with look(model, optimizer):
        for xb, yb in batches(15, x, y):
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()
    return model


class Tied(nn.Module):
    """A character model whose output weights are its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.mix, self.out = nn.Embedding(5, 8), nn.Linear(8, 8), nn.Linear(8, 5, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(self.mix(self.embed(tokens)))
        return self.out(torch.tanh(self.mix(hidden)))


def shared_weights(look: Look) -> nn.Module:
    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    with look(model, optimizer):
        for _ in range(100):
            tokens = torch.randint(0, 5, (BATCH, 4))
            optimizer.zero_grad()
            F.cross_entropy(model(tokens).transpose(1, 2), (tokens + 1) % 5).backward()
            optimizer.step()
    return model


class Sparse(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = nn.Embedding(5, 8, sparse=True), nn.Linear(8, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.out(self.embed(tokens))


def sparse_gradients_and_two_optimizers(look: Look) -> nn.Module:
    model = Sparse()
    optimizers = [
        torch.optim.SparseAdam(list(model.embed.parameters()), 0.05), torch.optim.SGD(model.out.parameters(), 1e-4)
    ]  # fmt: skip
    with look(model, optimizers[0]):
        for _ in range(150):
            tokens = torch.randint(0, 5, (BATCH,))
            for optimizer in optimizers:
                optimizer.zero_grad()
            F.cross_entropy(model(tokens), (tokens + 1) % 5).backward()
            for optimizer in optimizers:
                optimizer.step()
    return model


def _adversaries(look: Look, watched: int, inner: int = 1) -> nn.Module:
    generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    critic = nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    models = [generator, critic]
    optimizers = [torch.optim.Adam(model.parameters(), 0.002, betas=(0.5, 0.9)) for model in models]
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    with look(models[watched], optimizers[watched]):
        for _ in range(150):
            for _ in range(inner):
                real, made = torch.randn(BATCH, 2) + 3, generator(torch.randn(BATCH, 4)).detach()
                optimizers[1].zero_grad()
                loss = F.binary_cross_entropy_with_logits(critic(real), ones)
                (loss + F.binary_cross_entropy_with_logits(critic(made), zeros)).backward()
                optimizers[1].step()
            optimizers[0].zero_grad()
            made = generator(torch.randn(BATCH, 4))
            F.binary_cross_entropy_with_logits(critic(made), ones).backward()
            optimizers[0].step()
    return models[watched]


def generator_of_a_pair(look: Look) -> nn.Module:
    return _adversaries(look, 0)


def generator_that_steps_seldom(look: Look) -> nn.Module:
    return _adversaries(look, 0, inner=3)


def critic_of_a_pair(look: Look) -> nn.Module:
    return _adversaries(look, 1)


def critic_with_two_losses(look: Look) -> nn.Module:
    """Real rows and made ones have a backward pass each, of different lines, and add up to one step."""
    generator, critic = nn.Linear(4, 2), nn.Sequential(nn.Linear(2, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    optimizers = [torch.optim.Adam(model.parameters(), 0.002) for model in (generator, critic)]
    ones, zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    with look(critic, optimizers[1]):
        for _ in range(150):
            critic.zero_grad()
            F.binary_cross_entropy_with_logits(critic(torch.randn(BATCH, 2) + 3), ones).backward()
            made = generator(torch.randn(BATCH, 4))
            F.binary_cross_entropy_with_logits(critic(made.detach()), zeros).backward()
            optimizers[1].step()
            generator.zero_grad()
            F.binary_cross_entropy_with_logits(critic(made), ones).backward()
            optimizers[0].step()
    return critic


class ActorAndCritic(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.actor, self.critic = nn.Linear(6, 16), nn.Linear(16, 3), nn.Linear(6, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.actor(torch.tanh(self.body(x))), self.critic(x)


def actor_that_learns_seldom(look: Look) -> nn.Module:
    """Two optimizers for parts of one model; the second steps once for every four of the first."""
    model, (x, y) = ActorAndCritic(), data()
    critic = torch.optim.Adam(model.critic.parameters(), 0.02)
    actor = torch.optim.Adam([*model.body.parameters(), *model.actor.parameters()], 0.02)
    with look(model, critic):
        for turn, (xb, yb) in enumerate(batches(30, x, y)):
            scores, value = model(xb)
            chances = torch.distributions.Categorical(logits=scores)
            actions = chances.sample()
            reward = (actions == yb).float()
            critic.zero_grad()
            F.mse_loss(value[:, 0], reward).backward(retain_graph=True)
            critic.step()
            if turn % 4 == 3:
                actor.zero_grad()
                (-chances.log_prob(actions) * (reward - value[:, 0].detach())).mean().backward()
                actor.step()
    return model


def drifting_targets(look: Look) -> nn.Module:
    """Values learnt from themselves: the same rows come with other targets, as in Q-learning."""
    model, (x, y) = network(outputs=3), data()
    target = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for turn, (xb, yb) in enumerate(batches(40, x, y)):
            with torch.no_grad():
                wanted = F.one_hot(yb, 3).float() + 0.5 * target(xb).max(1, keepdim=True).values
            optimizer.zero_grad()
            F.smooth_l1_loss(model(xb), wanted).backward()
            optimizer.step()
            if turn % 20 == 0:
                target.load_state_dict(model.state_dict())
    return model


class ByTime(nn.Module):
    """A cell that the loop itself calls, each row of a sequence at a time, as often as it is long."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.drop, self.out = nn.GRUCell(2, 8), nn.Dropout(0.1), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.cell(x, h)
        return self.out(self.drop(h)), h


def sequences_of_any_length(look: Look) -> nn.Module:
    model, (x, y) = ByTime(), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    with look(model, optimizer):
        for turn, (xb, yb) in enumerate(batches(25, x, y)):
            h, answers = torch.zeros(len(xb), 8), torch.zeros(len(xb), 3)
            for t in range(1 + turn % 3):
                answers, h = model(xb[:, 2 * t : 2 * t + 2], h)
            optimizer.zero_grad()
            F.cross_entropy(answers, yb).backward()
            optimizer.step()
    return model


def unfreezing_by_and_by(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    model[0].requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with look(model, optimizer):
        for turn, (xb, yb) in enumerate(batches(20, x, y)):
            if turn == 60:
                model[0].requires_grad_(True)
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()
    return model


def lbfgs_with_closure(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.LBFGS(model.parameters(), 0.5, max_iter=8, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    with look(model, optimizer):
        for _ in range(8):
            optimizer.step(closure)
    return model


def clipping_of_gradients_that_are_kept(look: Look, epochs: int = 12) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    with look(model, optimizer):
        for xb, yb in batches(epochs, x, y):
            optimizer.zero_grad(set_to_none=False)
            F.cross_entropy(model(xb), yb).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
    return model


def clipping_in_a_run_of_one_epoch(look: Look) -> nn.Module:
    return clipping_of_gradients_that_are_kept(look, 1)


def autocast_to_bfloat16(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    with look(model, optimizer):
        for xb, yb in batches(12, x, y):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
    return model


def variational_autoencoder(look: Look) -> nn.Module:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.code, self.decode = nn.Linear(6, 4), nn.Linear(2, 6)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            mean, log_variance = self.code(x).chunk(2, 1)
            return self.decode(mean + torch.randn_like(mean) * (log_variance / 2).exp()), mean, log_variance

    model, (x, _) = Model(), data()
    x = torch.sigmoid(x)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for xb, _ in batches(20, x, x):
            made, mean, log_variance = model(xb)
            likelihood = F.binary_cross_entropy_with_logits(made, xb, reduction="sum")
            loss = likelihood - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def autoencoder(look: Look) -> nn.Module:
    """Many answers, the first of them always 0, as the corners of images are."""
    model, (x, _) = nn.Sequential(nn.Linear(14, 4), nn.ReLU(), nn.Linear(4, 14)), data()
    x = F.pad(x, (8, 0))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for xb, yb in batches(20, x, x):
            optimizer.zero_grad()
            F.mse_loss(model(xb), yb).backward()
            optimizer.step()
    return model


def tuning_of_a_model_that_is_good_already(look: Look) -> nn.Module:
    model, (x, y) = nn.Sequential(nn.Linear(6, 1)), data()
    y = (y == 0).float()[:, None]
    for rate in (0.5, 0.001):
        optimizer = torch.optim.SGD(model.parameters(), rate)
        with contextlib.nullcontext() if rate > 0.1 else look(model, optimizer):
            for xb, yb in batches(30, x, y):
                optimizer.zero_grad()
                F.binary_cross_entropy_with_logits(model(xb), yb).backward()
                optimizer.step()
    return model


def policy_gradient(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    with look(model, optimizer):
        for xb, yb in batches(25, x, y):
            chances = torch.distributions.Categorical(logits=model(xb))
            actions = chances.sample()
            reward = (actions == yb).float()
            loss = -(chances.log_prob(actions) * (reward - 0.4)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def two_views_and_a_teacher(look: Look) -> nn.Module:
    """Self-supervised: a running mean of the model, which is never trained itself, sees the other view."""
    model, (x, y) = moody(), data()
    teacher = copy.deepcopy(model).requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    with look(model, optimizer):
        for xb, yb in batches(20, x, y):
            views = [xb + 0.1 * torch.randn_like(xb) for _ in range(3)]
            with torch.no_grad():
                wanted = teacher(views[2]).softmax(1)
            loss = F.cross_entropy(model(views[0]), yb) + F.kl_div(
                model(views[1]).log_softmax(1), wanted, reduction="batchmean"
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for mine, other in zip(teacher.parameters(), model.parameters(), strict=True):
                    mine.lerp_(other, 0.05)
    return model


def gradient_penalty(look: Look) -> nn.Module:
    model, (x, y) = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1)), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for xb, yb in batches(15, x, y[:, None].float()):
            xb = xb.requires_grad_()
            out = model(xb)
            (slope,) = torch.autograd.grad(out.sum(), xb, create_graph=True)
            loss = F.mse_loss(out, yb) + 0.01 * slope.square().sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def updates_by_hand(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    with look(model):
        for xb, yb in batches(15, x, y):
            slopes = torch.autograd.grad(F.cross_entropy(model(xb), yb), list(model.parameters()))
            with torch.no_grad():
                for p, slope in zip(model.parameters(), slopes, strict=True):
                    p -= 0.1 * slope
    return model


def rows_in_order_and_all_at_once(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(100):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


def data_loader_with_a_recurrent_network(look: Look) -> nn.Module:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.lstm(x)[1][0][-1])

    model, (x, y) = Model(), data()
    rows = torch.utils.data.TensorDataset(x[:, :, None], y)
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH + 2, shuffle=True, drop_last=ROWS % BATCH > 0)
    optimizer = torch.optim.RMSprop(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(15):
            for xb, yb in loader:
                optimizer.zero_grad()
                F.cross_entropy(model(xb), yb).backward()
                optimizer.step()
    return model


def compiled_model(look: Look) -> nn.Module:
    model, (x, y) = network(), data()
    model.compile(backend="eager")
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    with look(model, optimizer):
        for xb, yb in batches(10, x, y):
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()
    return model


LOOPS = [
    adamw_with_warmup_and_cosine, warm_restarts, accumulation, train_and_eval_in_turns, dropout_by_function,
    fine_tuning_on_a_frozen_backbone, shared_weights, sparse_gradients_and_two_optimizers, generator_of_a_pair,
    generator_that_steps_seldom, critic_of_a_pair, lbfgs_with_closure, clipping_of_gradients_that_are_kept,
    clipping_in_a_run_of_one_epoch, autocast_to_bfloat16, variational_autoencoder, autoencoder, tuning_of_a_model_that_is_good_already, policy_gradient,
    two_views_and_a_teacher, gradient_penalty, updates_by_hand, rows_in_order_and_all_at_once,
    data_loader_with_a_recurrent_network, critic_with_two_losses, actor_that_learns_seldom, drifting_targets,
    sequences_of_any_length, unfreezing_by_and_by, compiled_model,
]  # fmt: skip
