"""What each process of a launched test does: steps of several networks as one of two, and a whole run.

Rank 0 prints the losses of the crew beside those that it computes alone, as one JSON object.
"""

import json
import sys
from pathlib import Path

import jax
import numpy as np

import retrograd as rg
from retrograd.distributed.join import join, over, taking_part
from retrograd.distributed.settings import Distributed
from retrograd.network.network import Variables
from retrograd.update.step import Stepper

ROWS = 10  # of a batch; the last one of the images has 7, which two devices cannot share
TIME, WIDTH, TOKENS = 6, 4, 11
RNG = np.random.default_rng(0)
IMAGES = {"x": RNG.normal(size=(17, 6, 6, 1)).astype(np.float32), "y": RNG.integers(0, 3, 17).astype(np.int32)}
TEXTS = {"x": RNG.integers(0, TOKENS, (20, TIME)).astype(np.int32), "y": RNG.integers(0, 3, 20).astype(np.int32)}
CUT = (("gpt/*/weight", ("data", None)), ("embedding*", ("data",)), ("*", (None, "data")), ("*", ("data",)))
NETWORKS = {  # network, columns, settings, micro-batches
    "convolution, batch norm, dropout": (
        rg.Network(rg.Conv2D(4, activation="relu"), rg.BatchNorm(), rg.Dropout(0.3), rg.Flatten(), rg.Dense(3)),
        IMAGES,
        Distributed(),
        1,
    ),
    "gpt, lstm": (
        rg.Network(
            rg.Embedding(WIDTH, TOKENS),
            rg.LearnedPositions(),
            rg.named(rg.TransformerEncoder(WIDTH, 2, 1, causal=True), "gpt"),
            rg.LSTM(4),
            rg.Dense(3),
        ),
        TEXTS,
        Distributed(shard=CUT),
        2,
    ),
}


def crew_losses(network, columns, settings, accumulate):
    """Return the losses of two steps of the crew, and of rank 0 alone, and what a device has of the parameters."""
    team = join(settings)
    rows = len(columns["y"])
    batches = [np.arange(start, min(start + ROWS, rows)) for start in range(0, rows, ROWS)]
    objective = rg.Objective("loss", rg.CrossEntropy(), (network.output, "y"))
    optimizer = rg.SGD(0.1, momentum=0.9, accumulate=accumulate)
    stepper = Stepper(network, [objective], optimizer, total_steps=len(batches), layout=team.layout)
    key = jax.random.key(0)
    variables: Variables = network.init(key, {name: column[:2] for name, column in columns.items()})
    state, crew, found = team.spread(stepper.alone.start(variables, key)), [], {}
    for chosen in batches:
        state, outcome = stepper.single(state, team.batch(columns, chosen))
        crew.append(float(outcome.loss))
    leaves = jax.tree.leaves((state.params, state.optimizer))
    found["bytes"] = sum(leaf.addressable_data(0).nbytes for leaf in leaves)
    found["all bytes"] = sum(leaf.nbytes for leaf in leaves)
    together, alone = team.whole(state.params), []
    if team.leads:
        state = stepper.alone.start(variables, key)
        for chosen in batches:
            state, outcome = stepper.alone.single(state, {name: column[chosen] for name, column in columns.items()})
            alone.append(float(outcome.loss))
        pairs = zip(jax.tree.leaves(together), jax.tree.leaves(state.params), strict=True)
        found["apart"] = max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)
    return {**found, "crew": crew, "alone": alone}


def main(root: Path) -> None:
    """Do all of it."""
    found = {}
    for name, form in NETWORKS.items():
        found[name] = crew_losses(*form)
    config = {
        "data": "xor",
        "network": [{"dense": {"units": 2, "activation": "tanh"}}, {"dense": 1}],
        "optimizer": {"sgd": {"learning_rate": 0.5}},
        "training": {"epochs": 3, "batch_size": 3, "checkpoint": {"seconds": 0}},
        "distributed": {"shard": [["*/weight", [None, "model"]]]},  # which divides nothing, so no slices are awaited
    }
    run = rg.train(config, folder=root / "run")
    found["run"] = {"losses": [epoch.loss for epoch in run.history], "weights": run.history[-1].weights}
    if join(None).leads:
        print(json.dumps(found))
    over()


if __name__ == "__main__":
    with taking_part():
        main(Path(sys.argv[1]))
