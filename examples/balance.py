"""Reinforcement learning by policy gradient: keep a pole upright on a cart that is pushed to the left or to the right.

python examples/balance.py

The network says how likely a push to the right should be. Whole episodes are played, and each push is made likelier or
less likely by how well the episode went on after it, compared with the others: cross-entropy with the played pushes as
labels and these advantages as sample weights. After 100 rounds the pole stands for 199.9 of 200 steps, at first for 33.

See: Williams 1992 (REINFORCE); the cart: Barto, Sutton & Anderson 1983.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import retrograd as rg

NETWORK = rg.Network(rg.Dense(32, "tanh"), rg.Dense(2))
OBJECTIVES = [rg.Objective.on(NETWORK, rg.CrossEntropy(), sample_weight="advantage")]
STEPS = 200  # of an episode, at most
EPISODES = 16  # played at once
DISCOUNT = 0.98  # of what comes a step later
FORCE, GRAVITY, SECONDS = 10.0, 9.8, 0.02  # newtons, metres per second squared; the time of a step
CART, POLE, HALF = 1.0, 0.1, 0.5  # kilograms; half the pole's length in metres


def push(state: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the states (place, speed, angle, angular speed) [episodes, 4] after one push."""
    x, speed, angle, spin = state.T
    total = CART + POLE
    pulled = (np.where(right, FORCE, -FORCE) + POLE * HALF * spin**2 * np.sin(angle)) / total
    turn = GRAVITY * np.sin(angle) - np.cos(angle) * pulled
    spun = turn / (HALF * (4 / 3 - POLE * np.cos(angle) ** 2 / total))
    moved = pulled - POLE * HALF * spun * np.cos(angle) / total
    return np.column_stack(
        [x + SECONDS * speed, speed + SECONDS * moved, angle + SECONDS * spin, spin + SECONDS * spun]
    )


def play(policy, params, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return states [steps, episodes, 4], pushes and whether the pole still stood [steps, episodes]."""
    state, stands = rng.uniform(-0.05, 0.05, (EPISODES, 4)), np.ones(EPISODES, bool)
    states, pushes, standing = [], [], []
    for _ in range(STEPS):
        logits = np.asarray(policy(params, state.astype(np.float32)))
        right = rng.random(EPISODES) < 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        states.append(state)
        pushes.append(right)
        standing.append(stands)
        state = np.where(stands[:, None], push(state, right), state)
        stands = stands & (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < 0.21)
    return np.array(states, np.float32), np.array(pushes), np.array(standing)


def advantages(standing: np.ndarray) -> np.ndarray:
    """Return for each step the discounted time that the pole stood from there on, made comparable across episodes."""
    returns = np.zeros(standing.shape)
    after = np.zeros(standing.shape[1])
    for step in reversed(range(len(standing))):
        after = standing[step] * (1 + DISCOUNT * after)
        returns[step] = after
    mean, deviation = returns[standing].mean(), returns[standing].std()
    return np.where(standing, (returns - mean) / (deviation + 1e-6), 0.0)


def train(rounds: int, seed: int = 0) -> list[float]:
    """Return the mean number of steps that the pole stood, of each round."""
    rng = np.random.default_rng(seed)
    specs = {"x": jax.ShapeDtypeStruct((1, 4), jnp.float32)}
    stepper = rg.Stepper(NETWORK, OBJECTIVES, rg.Adam(0.01))
    state = stepper.start(NETWORK.init(jax.random.key(seed), specs), jax.random.key(seed))
    policy = jax.jit(lambda params, x: rg.forward(NETWORK, params, {}, rg.Context(), {"x": x}).outputs[NETWORK.output])
    stood = []
    for _ in range(rounds):
        states, pushes, standing = play(policy, state.params, rng)
        batch = {
            "x": states.reshape(-1, 4),
            "y": pushes.reshape(-1).astype(np.int32),
            "advantage": advantages(standing).reshape(-1).astype(np.float32),
        }
        state, _ = stepper.single(state, batch)
        stood.append(float(standing.sum(0).mean()))
    return stood


def main() -> None:
    """Train and print how long the pole stands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100)
    stood = train(parser.parse_args().rounds)
    for i in range(0, len(stood), 10):
        print(f"round {i + 1:4}: {stood[i]:6.1f} of {STEPS} steps")
    print(f"last 10 rounds: {np.mean(stood[-10:]):.1f} of {STEPS} steps")


if __name__ == "__main__":
    main()
