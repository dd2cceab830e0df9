"""One step of backpropagation by hand, with every number: the 2-2-1 sigmoid network that learns XOR.

python examples/one_step_by_hand.py
"""

import jax
import numpy as np

import retrograd as rg

NETWORK = rg.Network(
    rg.named(rg.Dense(2, "sigmoid", weight=[[0.5, 0.9], [0.4, 1.0]], bias=[-0.8, 0.1]), "hidden"),
    rg.named(rg.Dense(1, "sigmoid", weight=[[-1.2], [1.1]], bias=[-0.3]), "out"),
)
OBJECTIVES = [rg.Objective.on(NETWORK, rg.MeanSquaredError(scale=0.5))]  # 1/2 (a - y)²
BATCH = {"x": np.array([[1.0, 1.0]], np.float32), "y": np.array([[0.0]], np.float32)}
OPTIMIZER = rg.SGD(0.1).build(None)


def one_step() -> tuple[rg.Record, dict, dict, dict, dict]:
    """Return what each of the four calls gives: forward, loss, backward, update."""
    params, state = NETWORK.init(jax.random.key(0), BATCH)
    record = rg.forward(NETWORK, params, state, rg.Context(train=True), BATCH)
    losses, deltas = rg.evaluate_losses(OBJECTIVES, record.outputs, rg.Context(train=True))
    deltas, grads = rg.backward(NETWORK, params, record.tapes, deltas)
    updated, _ = rg.apply_gradients(OPTIMIZER, params, grads, OPTIMIZER.init(params))
    return record, losses, deltas, grads, updated


def main() -> None:
    """Print the step."""
    np.set_printoptions(precision=4, suppress=True)
    record, losses, deltas, grads, updated = one_step()
    print("forward   ", {name: np.asarray(y)[0] for name, y in record.outputs.items()})
    print("loss      ", {name: round(float(value), 4) for name, value in losses.items()})
    print("deltas    ", {name: np.asarray(delta)[0] for name, delta in deltas.items()})
    print("gradients ", {f"{node}/{name}": np.asarray(g) for node, own in grads.items() for name, g in own.items()})
    print("new out/weight", np.asarray(updated["out"]["weight"]).ravel())


if __name__ == "__main__":
    main()
