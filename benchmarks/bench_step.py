"""Time of one training step with Adam, side by side with peers in one run.

    python benchmarks/bench_step.py [--workload NAME] [--rounds N] [--json FILE]

PyTorch is measured where it is installed (`pip install 'retrograd[torch]'`). A name that ends in `+malloc` runs with
the allocator settings that the command line gives to retrograd. `products` does the step's matrix products and nothing
else: the floor under every implementation that computes them with XLA.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import race

RATE = 1e-3
ROWS = 64  # minibatches in the data


class Dense(NamedTuple):
    """A dense network with relu between, cross-entropy behind."""

    widths: tuple[int, ...]
    batch: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        rows = self.batch * (ROWS if self.widths[0] < 100 else 8)
        x = rng.normal(size=(rows, self.widths[0])).astype(np.float32)
        return x, rng.integers(0, self.widths[-1], rows).astype(np.int32)


WORKLOADS = {
    "xor 2-8-2, b4": Dense((2, 8, 2), 4),
    "64-64-10, b32": Dense((64, 64, 10), 32),
    "784-256-128-10, b64": Dense((784, 256, 128, 10), 64),
    "784-1024-1024-10, b256": Dense((784, 1024, 1024, 10), 256),
}


def with_malloc(build: Callable[[Dense], Callable[[int], int]]) -> Callable[[Dense], Callable[[int], int]]:
    def tuned(work: Dense) -> Callable[[int], int]:
        from retrograd.base import allocator

        allocator.tune()
        return build(work)

    return tuned


def retrograd(work: Dense) -> Callable[[int], int]:
    import jax
    import jax.numpy as jnp

    import retrograd as rg

    hidden = [rg.Dense(width, "relu") for width in work.widths[1:-1]]
    network = rg.Network(*hidden, rg.Dense(work.widths[-1]))
    stepper = rg.Stepper(network, [rg.Objective("loss", rg.CrossEntropy(), (network.output, "y"))], rg.Adam(RATE))
    x, y = work.data()
    columns = {"x": x, "y": y}
    key = jax.random.key(0)
    train = [stepper.start(network.init(key, columns), key)]
    batches = np.arange(len(x), dtype=np.int32).reshape(-1, work.batch)
    together = stepper.steps_per_dispatch(train[0], {name: column[batches[0]] for name, column in columns.items()})
    device = {name: jnp.asarray(column) for name, column in columns.items()}
    order = np.resize(batches, (together, work.batch))

    def run(steps: int) -> int:
        dispatches = -(-steps // together)
        for i in range(dispatches):
            if together > 1:
                train[0], _ = stepper.many(train[0], device, order)
            else:
                chosen = batches[i % len(batches)]
                train[0], _ = stepper.single(train[0], {name: column[chosen] for name, column in columns.items()})
        jax.block_until_ready(train[0].params)
        return dispatches * together

    return run


def jax_grad(work: Dense) -> Callable[[int], int]:
    import functools

    import jax
    import jax.numpy as jnp
    import optax

    rng = np.random.default_rng(0)
    pairs = list(zip(work.widths, work.widths[1:], strict=False))
    params = [(jnp.asarray(rng.normal(size=p) * np.sqrt(2 / p[0]), jnp.float32), jnp.zeros(p[1])) for p in pairs]
    optimizer = optax.adam(RATE)

    def loss(params, x, y):
        for weight, bias in params[:-1]:
            x = jax.nn.relu(x @ weight + bias)
        weight, bias = params[-1]
        return optax.softmax_cross_entropy_with_integer_labels(x @ weight + bias, y).mean()

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, x, y):
        value, grads = jax.value_and_grad(loss)(params, x, y)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    held = [params, optimizer.init(params)]
    x, y = work.data()
    batches = np.arange(len(x)).reshape(-1, work.batch)

    def run(steps: int) -> int:
        for i in range(steps):
            chosen = batches[i % len(batches)]
            held[0], held[1], _ = step(held[0], held[1], x[chosen], y[chosen])
        jax.block_until_ready(held[0])
        return steps

    return run


def pytorch(work: Dense) -> Callable[[int], int]:
    import torch

    layers: list[torch.nn.Module] = []
    for wide, narrow in zip(work.widths, work.widths[1:], strict=False):
        layers += [torch.nn.Linear(wide, narrow), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    criterion = torch.nn.CrossEntropyLoss()
    x, y = (torch.from_numpy(array) for array in work.data())
    y = y.long()
    batches = torch.arange(len(x)).reshape(-1, work.batch)

    def run(steps: int) -> int:
        for i in range(steps):
            chosen = batches[i % len(batches)]
            optimizer.zero_grad()
            loss = criterion(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
        return steps

    return run


def products(work: Dense) -> Callable[[int], int]:
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    weights = [
        jnp.asarray(rng.normal(size=pair), jnp.float32) for pair in zip(work.widths, work.widths[1:], strict=False)
    ]
    outputs = [jnp.asarray(rng.normal(size=(work.batch, width)), jnp.float32) for width in work.widths]

    @jax.jit
    def step(weights, outputs):
        forward = [x @ weight for x, weight in zip(outputs, weights, strict=False)]
        deltas = [delta @ weight.T for delta, weight in zip(outputs[2:], weights[1:], strict=True)]
        grads = [x.T @ delta for x, delta in zip(outputs, outputs[1:], strict=False)]
        return forward, deltas, grads

    def run(steps: int) -> int:
        for _ in range(steps):
            last = step(weights, outputs)
        jax.block_until_ready(last)
        return steps

    return run


def sklearn(work: Dense) -> Callable[[int], int]:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(work.widths[1:-1], solver="adam", alpha=0.0, learning_rate_init=RATE, batch_size=work.batch)
    x, y = work.data()
    model.partial_fit(x[: work.batch], y[: work.batch], classes=np.arange(work.widths[-1]))
    batches = np.arange(len(x)).reshape(-1, work.batch)

    def run(steps: int) -> int:
        for i in range(steps):
            chosen = batches[i % len(batches)]
            model.partial_fit(x[chosen], y[chosen])
        return steps

    return run


CONTESTANTS = {
    "retrograd": with_malloc(retrograd),
    "jax.grad": jax_grad,
    "jax.grad+malloc": with_malloc(jax_grad),
    "pytorch": pytorch,
    "pytorch+malloc": with_malloc(pytorch),
    "scikit-learn": sklearn,
    "products": with_malloc(products),
}

if __name__ == "__main__":
    race.main(__file__, WORKLOADS, CONTESTANTS, own="retrograd")
