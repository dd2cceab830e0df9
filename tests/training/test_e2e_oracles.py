"""Three optimizer steps of whole networks, every weight after each, against another implementation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import retrograd as rg
from tests.oracles import all_cases

KINDS = ("e2e",)
NETWORKS = {
    "e2e_mlp_ce_adam": (
        [rg.named(rg.Dense(8, "tanh"), "l1"), rg.named(rg.Dense(3), "l2")],
        rg.CrossEntropy(),
        rg.Adam(0.01),
    ),
    "e2e_residual_huber_rmsprop": (
        [
            rg.named(rg.Dense(6, "relu"), "l1"),
            rg.named(rg.Dense(6, "relu"), "l2"),
            rg.named(rg.Add(), "sum", inputs=["l1", "l2"]),
            rg.named(rg.Dense(1), "l3"),
        ],
        rg.Huber(1.0),
        rg.RMSprop(0.01, decay=0.9, eps=1e-8),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_three_steps_of_training_equal_the_recorded_ones(name):
    case = all_cases()[name]
    entries, loss, optimizer = NETWORKS[name]
    with jax.enable_x64(True):
        network = rg.Network(*entries)
        stepper = rg.Stepper(network, [rg.Objective("loss", loss, (network.output, "y"))], optimizer)
        layers = sorted({key.split(".")[1] for key in case.arrays if key.startswith("param0.")})
        params = {layer: of(case, f"param0.{layer}") for layer in layers}
        train = stepper.start(rg.Variables(params, {}), jax.random.key(0))
        for t in range(3):
            x, y = jnp.asarray(case.arrays["in.X"][t]), jnp.asarray(case.arrays["in.Y"][t])
            result = jax.jit(stepper.evaluate)(train, {"x": x, "y": y})
            expect(case, result.loss, case.arrays[f"step{t + 1}.loss"])
            expect(case, result.outputs[network.output], case.arrays[f"step{t + 1}.out"])
            if t == 0:
                for layer in layers:
                    jax.tree.map(lambda a, b: expect(case, a, b), result.grads[layer], of(case, f"step1.grad.{layer}"))
            train, _ = stepper.single(train, {"x": x, "y": y})
            for layer in layers:
                jax.tree.map(
                    lambda a, b: expect(case, a, b), train.params[layer], of(case, f"step{t + 1}.param.{layer}")
                )


def test_three_steps_of_a_convolutional_network_equal_the_recorded_ones():
    case = all_cases()["e2e_cnn_bn_ce_sgdm"]
    network = rg.Network(
        rg.named(rg.Conv2D(4), "c1"), rg.named(rg.BatchNorm(), "bn"), rg.ReLU(), rg.MaxPool(),
        rg.named(rg.Conv2D(6, padding="valid"), "c2"), rg.ReLU(), rg.Flatten(), rg.named(rg.Dense(3), "fc"),
    )  # fmt: skip
    optimizer = rg.SGD(0.05, momentum=0.9, weight_decay=1e-3)
    with jax.enable_x64(True):
        objective = rg.Objective("loss", rg.CrossEntropy(), (network.output, "y"))
        stepper = rg.Stepper(network, [objective], optimizer)
        step = jax.jit(stepper.step, compiler_options={"xla_backend_optimization_level": 1})  # see conftest.py
        train = stepper.start(rg.Variables(images(case, "param0"), running(case, "state0")), jax.random.key(0))
        for t in range(3):
            x, y = jnp.moveaxis(case.arrays["in.X"][t], 1, -1), jnp.asarray(case.arrays["in.Y"][t])
            batch = {"x": x, "y": y}
            result = jax.jit(stepper.evaluate)(train, batch)
            expect(case, result.loss, case.arrays[f"step{t + 1}.loss"])
            expect(case, result.outputs[network.output], case.arrays[f"step{t + 1}.out"])
            pairs = [(result.grads, images(case, "step1.grad"))] if t == 0 else []
            train, _ = step(train, batch)
            pairs += [(train.params, images(case, f"step{t + 1}.param"))]
            pairs += [(train.state, running(case, f"step{t + 1}.state"))]
            for computed, recorded in pairs:
                jax.tree.map(lambda a, b: expect(case, a, b), computed, recorded)


def test_three_steps_of_a_recurrent_classifier_equal_the_recorded_ones():
    """The recorded network has two biases, each with its own decay; ours is their sum, so this test tracks both."""
    case = all_cases()["e2e_bilstm_ce_adamw"]
    network = rg.Network(
        rg.named(rg.Embedding(4, 7, 0), "emb"),
        rg.named(rg.LSTM(5, bidirectional=True), "rnn"),
        rg.named(rg.Dense(3), "fc"),
    )
    objective = rg.Objective.on(network, rg.CrossEntropy(0.1))
    chain = rg.AdamW(0.01, weight_decay=0.05).build(None)
    names = sorted(key.removeprefix("param0.") for key in case.arrays if key.startswith("param0."))

    @jax.jit
    def step(params, moments, batch):
        result = rg.backprop(network, [objective], bilstm(params), {}, rg.Context(True), batch)
        grads = bilstm_back(result.grads)
        after, moments = rg.apply_gradients(chain, params, grads, moments)
        return result.loss, result.outputs[network.output], grads, after, moments

    with jax.enable_x64(True):
        params = nested({name: jnp.asarray(case.arrays[f"param0.{name}"]) for name in names})
        moments = chain.init(params)
        for t in range(3):
            batch = {"x": jnp.asarray(case.arrays["in.X"][t]), "y": jnp.asarray(case.arrays["in.Y"][t])}
            loss, y, grads, params, moments = step(params, moments, batch)
            expect(case, loss, case.arrays[f"step{t + 1}.loss"])
            expect(case, y, case.arrays[f"step{t + 1}.out"])
            for name in names:
                node, _, param = name.partition(".")
                expect(case, params[node][param], case.arrays[f"step{t + 1}.param.{name}"])
                if t == 0:
                    expect(case, grads[node][param], case.arrays[f"step1.grad.{name}"])


def nested(flat):
    tree = {}
    for name, array in flat.items():
        node, _, param = name.partition(".")
        tree.setdefault(node, {})[param] = array
    return tree


def bilstm(params):
    """The recorded parameters in our form: transposed weights, the two biases added."""
    rnn, parameters = params["rnn"], {}
    for prefix, end in (("", "_l0"), ("reverse_", "_l0_reverse")):
        parameters[f"{prefix}input_weight"] = rnn[f"weight_ih{end}"].T
        parameters[f"{prefix}recurrent_weight"] = rnn[f"weight_hh{end}"].T
        parameters[f"{prefix}bias"] = rnn[f"bias_ih{end}"] + rnn[f"bias_hh{end}"]
    return {
        "emb": params["emb"],
        "rnn": parameters,
        "fc": {"weight": params["fc"]["weight"].T, "bias": params["fc"]["bias"]},
    }


def bilstm_back(grads):
    """Our gradients in the recorded form: the gradient of the sum is that of each bias."""
    rnn, parameters = grads["rnn"], {}
    for prefix, end in (("", "_l0"), ("reverse_", "_l0_reverse")):
        parameters[f"weight_ih{end}"] = rnn[f"{prefix}input_weight"].T
        parameters[f"weight_hh{end}"] = rnn[f"{prefix}recurrent_weight"].T
        parameters |= {f"bias_{which}{end}": rnn[f"{prefix}bias"] for which in ("ih", "hh")}
    return {
        "emb": grads["emb"],
        "rnn": parameters,
        "fc": {"weight": grads["fc"]["weight"].T, "bias": grads["fc"]["bias"]},
    }


def images(case, prefix):
    """The network's parameters: kernels from [filters, channels, ...] to [..., channels, filters], features likewise."""
    arrays = {
        key.removeprefix(prefix + "."): jnp.asarray(a) for key, a in case.arrays.items() if key.startswith(prefix)
    }
    kernels = {
        f"c{i}": {"weight": arrays[f"c{i}.weight"].transpose(2, 3, 1, 0), "bias": arrays[f"c{i}.bias"]} for i in (1, 2)
    }
    features = arrays["fc.weight"].reshape(3, 6, 2, 2).transpose(2, 3, 1, 0).reshape(24, 3)  # flattened channels last
    norm = {"scale": arrays["bn.weight"], "bias": arrays["bn.bias"]}
    return {**kernels, "bn": norm, "fc": {"weight": features, "bias": arrays["fc.bias"]}}


def running(case, prefix):
    names = {"mean": "running_mean", "var": "running_var"}
    return {"bn": {ours: jnp.asarray(case.arrays[f"{prefix}.bn.{its}"]) for ours, its in names.items()}}


def of(case, prefix):
    """A dense layer's arrays, from [out, in] to [in, out]."""
    return {
        "weight": jnp.asarray(case.arrays[f"{prefix}.weight"].T),
        "bias": jnp.asarray(case.arrays[f"{prefix}.bias"]),
    }


def expect(case, computed, recorded):
    np.testing.assert_allclose(computed, recorded, rtol=case.tol["rtol"], atol=case.tol["atol"])
