"""More right loops, in the styles of tutorials of other authors. Each takes `look` and returns the model it trains."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from tests.interop.torch.loops import data, network

Look = Callable[..., Any]
STEPS = 40


def beginners_full_batch_of_a_split(look: Look) -> nn.Module:
    X, y = data()
    rows = torch.randperm(96)
    X_train, X_test, y_train, _ = X[rows[:76]], X[rows[76:]], y[rows[:76]], y[rows[76:]]
    model = network()
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = criterion(model(X_train), y_train)
            loss.backward()
            optimizer.step()
    model(X_test)
    return model


def curve_fit_with_points_to_plot(look: Look) -> nn.Module:
    x = torch.rand(20, 1) * 6
    y = torch.sin(x)
    x_plot = torch.linspace(0, 6, 500)[:, None]
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    with look(model, optimizer):
        for _ in range(60):
            loss = ((model(x) - y) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model(x_plot)
    return model


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.G = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 6))
        self.D = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.D(self.G(z))


def gan_in_one_module(look: Look) -> nn.Module:
    x, _ = data()
    gan = Pair()
    opt_d = torch.optim.Adam(gan.D.parameters(), 1e-3, betas=(0.5, 0.999))
    opt_g = torch.optim.Adam(gan.G.parameters(), 1e-3, betas=(0.5, 0.999))
    bce = nn.BCEWithLogitsLoss()
    one, zero = torch.ones(16, 1), torch.zeros(16, 1)
    with look(gan):
        for _ in range(STEPS):
            real, fake = x[torch.randint(0, 96, (16,))], gan.G(torch.randn(16, 4))
            opt_d.zero_grad()
            bce(gan.D(real), one).backward(); bce(gan.D(fake.detach()), zero).backward()  # fmt: skip  # noqa: E702
            opt_d.step()
            opt_g.zero_grad()
            bce(gan(torch.randn(16, 4)), one).backward()
            opt_g.step()
    return gan


def generator_shown_on_fixed_noise(look: Look) -> nn.Module:
    x, _ = data()
    gan, fixed = Pair(), torch.randn(8, 4)
    opt_d, opt_g = (torch.optim.Adam(part.parameters(), 1e-3) for part in (gan.D, gan.G))
    with look(gan.G, opt_g):
        for i in range(STEPS):
            fake = gan.G(torch.randn(16, 4))
            opt_d.zero_grad()
            (F.softplus(-gan.D(x[:16])) + F.softplus(gan.D(fake.detach()))).mean().backward()
            opt_d.step()
            opt_g.zero_grad()
            F.softplus(-gan.D(fake)).mean().backward()
            opt_g.step()
            if i % 10 == 9:
                with torch.no_grad():
                    gan.G(fixed)
    return gan


def generator_shown_on_fixed_noise_after_a_loss_function(look: Look) -> nn.Module:
    x, _ = data()
    gan, fixed = Pair(), torch.randn(8, 4)
    opt_d, opt_g = (torch.optim.Adam(part.parameters(), 1e-3) for part in (gan.D, gan.G))
    bce, one, zero = nn.BCEWithLogitsLoss(), torch.ones(16, 1), torch.zeros(16, 1)
    with look(gan.G, opt_g):
        for i in range(STEPS):
            fake = gan.G(torch.randn(16, 4))
            opt_d.zero_grad()
            (bce(gan.D(x[:16]), one) + bce(gan.D(fake.detach()), zero)).backward()
            opt_d.step()
            opt_g.zero_grad()
            (-bce(gan.D(fake), zero)).backward()  # as it was first written: the generator makes the critic's loss grow
            opt_g.step()
            if i % 10 == 9:
                with torch.no_grad():
                    gan.G(fixed)
    return gan


def likelihood_that_is_maximised(look: Look) -> nn.Module:
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1, maximize=True)
    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            optimizer.zero_grad()
            F.log_softmax(model(x[rows]), 1).gather(1, y[rows, None]).mean().backward()
            optimizer.step()
    return model


def wasserstein_with_penalty(look: Look) -> nn.Module:
    x, _ = data()
    critic = nn.Sequential(nn.Linear(6, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(critic.parameters(), 1e-3)
    with look(critic, optimizer):
        for _ in range(STEPS):
            real, fake = x[torch.randint(0, 96, (16,))], torch.randn(16, 6)
            mixed = (real + torch.rand(16, 1) * (fake - real)).requires_grad_()
            (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
            loss = critic(fake).mean() - critic(real).mean() + 10 * ((slope.norm(2, 1) - 1) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return critic


class Letters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn, self.out = nn.Embedding(9, 12), nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 9)

    def forward(self, x: torch.Tensor, h: Any = None) -> Any:
        y, h = self.rnn(self.embedding(x), h)
        return self.out(y), h


def language_model_with_detached_state(look: Look) -> nn.Module:
    text = (torch.arange(400) ** 2 % 9).view(4, 100)
    model = Letters()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(4):
            h = None
            for i in range(0, 99 - 8, 8):
                logits, h = model(text[:, i : i + 8], h)
                h = tuple(each.detach() for each in h)
                loss = F.cross_entropy(logits.reshape(-1, 9), text[:, i + 1 : i + 9].reshape(-1))
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
    return model


class Causal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.body = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = nn.Linear(16, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return self.out(self.body(self.embedding(x), mask=mask))


def causal_transformer_with_warm_up(look: Look) -> nn.Module:
    text = torch.arange(1000) ** 2 % 9
    model = Causal()
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(i / 10, 1.0))
    with look(model, optimizer):
        for _ in range(STEPS):
            start = torch.randint(0, 980, (8, 1))
            tokens = text[start + torch.arange(13)]
            loss = F.cross_entropy(model(tokens[:, :-1]).transpose(1, 2), tokens[:, 1:])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return model


def averaged_weights_with_batch_norm(look: Look) -> nn.Module:
    x, y = data()
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    averaged = torch.optim.swa_utils.AveragedModel(model)
    with look(model, optimizer):
        for i in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            if i > 20:
                averaged.update_parameters(model)
        torch.optim.swa_utils.update_bn([x[:48], x[48:]], averaged)
        torch.optim.swa_utils.update_bn([x[:48], x[48:]], model)
    return model


def dropout_sampled_at_the_end(look: Look) -> nn.Module:
    x, y = data()
    model = network(drop=0.3)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            optimizer.zero_grad()
            F.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        model[2].train()  # dropout alone: predictions that vary
        with torch.no_grad():
            torch.stack([model(x) for _ in range(10)]).std(0)
    return model


def checkpointed_whole(look: Look) -> nn.Module:
    x, y = data()
    model = network(drop=0.2)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            optimizer.zero_grad()
            F.cross_entropy(checkpoint(model, x[rows], use_reentrant=False), y[rows]).backward()
            optimizer.step()
    return model


class Binary(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.where(x > 0, 1.0, -1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return dy * (x.abs() <= 1)


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return -0.3 * dy


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> torch.Tensor:
        return 2 * ctx.saved_tensors[0] * dy


class WithFunctions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 16), nn.Linear(16, 3), nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> Any:
        h = Binary.apply(self.a(x)) + Square.apply(torch.tanh(self.a(x)))
        return self.b(h), self.c(Reverse.apply(h))


def own_functions_that_are_right_or_deliberate(look: Look) -> nn.Module:
    x, y = data()
    model = WithFunctions()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            label, domain = model(x[rows])
            loss = F.cross_entropy(label, y[rows]) + 0.1 * F.cross_entropy(domain, y[rows] % 2)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def equation_by_two_derivatives(look: Look) -> nn.Module:
    t = torch.linspace(0, 3, 40)[:, None].requires_grad_()
    t_test = torch.linspace(0, 3, 400)[:, None]
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(60):
            u = model(t)
            (du,) = torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)
            (ddu,) = torch.autograd.grad(du, t, torch.ones_like(u), create_graph=True)
            start = torch.zeros(1, 1)
            loss = ((ddu + u) ** 2).mean() + (model(start) - 1).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    model(t_test)
    return model


def learning_to_learn(look: Look) -> nn.Module:
    model = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            phase, x = torch.rand(1) * math.pi, torch.rand(20, 1) * 6
            y = torch.sin(x + phase)
            names = dict(model.named_parameters())
            inner = F.mse_loss(functional_call(model, names, (x[:10],)), y[:10])
            slopes = torch.autograd.grad(inner, list(names.values()), create_graph=True)
            fast = {name: p - 0.05 * g for (name, p), g in zip(names.items(), slopes, strict=True)}
            optimizer.zero_grad()
            F.mse_loss(functional_call(model, fast, (x[10:],)), y[10:]).backward()
            optimizer.step()
    return model


def value_network_with_target(look: Look) -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    target = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    memory = [(torch.randn(4), int(i % 2), float(i % 3), torch.randn(4)) for i in range(200)]
    with look(model, optimizer):
        for i in range(STEPS):
            picked = [memory[int(k)] for k in torch.randint(0, 200, (32,))]
            s, a, r, after = (
                torch.stack([p[0] for p in picked]), torch.tensor([p[1] for p in picked]),
                torch.tensor([p[2] for p in picked]), torch.stack([p[3] for p in picked]),
            )  # fmt: skip
            with torch.no_grad():
                wanted = r + 0.9 * target(after).max(1).values
            loss = F.smooth_l1_loss(model(s).gather(1, a[:, None]).squeeze(1), wanted)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_value_(model.parameters(), 100)
            optimizer.step()
            if i % 10 == 0:
                target.load_state_dict(model.state_dict())
    return model


def clipped_policy(look: Look) -> nn.Module:
    policy = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(policy.parameters(), 3e-3)
    with look(policy, optimizer):
        for _ in range(10):
            s = torch.randn(64, 4)
            with torch.no_grad():
                old = torch.distributions.Categorical(logits=policy(s))
                a = old.sample()
                before, gain = old.log_prob(a), (a == (s[:, 0] > 0)).float() - 0.5
            for _ in range(4):
                now = torch.distributions.Categorical(logits=policy(s))
                ratio = (now.log_prob(a) - before).exp()
                loss = -torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean() - 0.01 * now.entropy().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return policy


def cosine_head(look: Look) -> nn.Module:
    x, y = data()
    x = F.relu(x)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(120):
            a, b = torch.randint(0, 96, (2, 32))
            similar = F.cosine_similarity(model(x[a]), model(x[b]))
            loss = F.binary_cross_entropy_with_logits(similar, (y[a] == y[b]).float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def distilled(look: Look) -> nn.Module:
    x, y = data()
    teacher, student = network().eval(), network()
    optimizer = torch.optim.Adam(student.parameters(), 0.01)
    with look(student, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            with torch.no_grad():
                soft = F.softmax(teacher(x[rows]) / 2, -1)
            logits = student(x[rows])
            kl = F.kl_div(F.log_softmax(logits / 2, -1), soft, reduction="batchmean") * 4
            optimizer.zero_grad()
            (0.5 * kl + 0.5 * F.cross_entropy(logits, y[rows], label_smoothing=0.1)).backward()
            optimizer.step()
    return student


def several_labels_with_weights(look: Look) -> nn.Module:
    x, y = data()
    several = torch.stack([y == 0, y != 1, y == 2], 1).float()
    model = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 16)), nn.ReLU(),
                          nn.utils.parametrizations.weight_norm(nn.Linear(16, 3)))  # fmt: skip
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0, 0.5, 2.0]))
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            optimizer.zero_grad()
            criterion(model(x[rows]), several[rows]).backward()
            optimizer.step()
    return model


def sequences_by_ctc(look: Look) -> nn.Module:
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            target = torch.randint(1, 4, (6, 3))
            x = F.one_hot(target.repeat_interleave(4, 1), 5).float() + 0.1 * torch.randn(6, 12, 5)
            log_probabilities = model(x).log_softmax(-1).transpose(0, 1)
            loss = F.ctc_loss(log_probabilities, target, torch.full((6,), 12), torch.full((6,), 3))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def two_losses_in_a_loop(look: Look) -> nn.Module:
    x, y = data()
    model = network(outputs=4)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (16,))
            out = model(x[rows])
            optimizer.zero_grad()
            for loss in (F.cross_entropy(out[:, :3], y[rows]), F.mse_loss(out[:, 3], x[rows, 0])):
                loss.backward(retain_graph=True)
            optimizer.step()
    return model


def images_with_huge_targets(look: Look) -> nn.Module:
    x = torch.rand(96, 1, 8, 8)
    price = 1e5 * x.mean((1, 2, 3))[:, None] + 2e5
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 1))
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    with look(model, optimizer):
        for _ in range(60):
            rows = torch.randint(0, 96, (16,))
            loss = F.mse_loss(model(x[rows]) * 1e5 + 2e5, price[rows]) / 1e10
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def shared_function_of_two_lines(look: Look) -> nn.Module:
    x, y = data()
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.05)

    def learn(loss: torch.Tensor) -> None:
        loss.backward()

    with look(model, optimizer):
        for _ in range(STEPS):
            rows = torch.randint(0, 96, (32,))
            optimizer.zero_grad()
            learn(F.cross_entropy(model(x[rows[:16]]), y[rows[:16]]))
            learn(0.1 * F.cross_entropy(model(x[rows[16:]].flip(0)), y[rows[16:]].flip(0)))
            optimizer.step()
    return model


MORE = [each for name, each in sorted(globals().items()) if callable(each)
        and getattr(each, "__module__", "") == __name__ and not isinstance(each, type)]  # fmt: skip
