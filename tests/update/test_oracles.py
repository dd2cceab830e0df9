"""Optimizers, clipping and schedules against the numbers of another implementation, in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from retrograd.base.schema import parse_registered
from retrograd.update.clipping import clip
from retrograd.update.optimizers import SGD, optimizers
from retrograd.update.plateau import Plateau, ReduceOnPlateau
from retrograd.update.schedules import schedules
from retrograd.update.step import apply_gradients
from tests.oracles import cases

KINDS = ("optimizer", "clip", "schedule")

NAMES = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw", "RMSprop": "rmsprop", "Adagrad": "adagrad",
         "Adadelta": "adadelta", "Rprop": "rprop", "Adamax": "adamax", "RAdam": "radam", "NAdam": "nadam"}  # fmt: skip
FIELDS = {"momentum": "momentum", "nesterov": "nesterov", "weight_decay": "weight_decay", "eps": "eps",
          "amsgrad": "amsgrad", "momentum_decay": "momentum_decay", "alpha": "decay", "rho": "decay", "centered": "centered",
          "initial_accumulator_value": "initial_accumulator"}  # fmt: skip
EPS_ELSEWHERE = {
    "adagrad": 2e-8,  # 1e-10 inside the root instead of outside: 1e-10 / (2 s) for the smallest sum s of squares
    "radam": 2e-8,  # eps 1e-8 added after the correction of v instead of before: eps / sqrt(v) apart
}


def settings(config):
    """The name and settings in retrograd of an optimizer's case."""
    name = NAMES[config["name"]]
    given = {ours: config[theirs] for theirs, ours in FIELDS.items() if theirs in config}
    if "betas" in config:
        given["beta1"], given["beta2"] = config["betas"]
    rate = config["lr"]
    if "step_sizes" in config:  # ours are times the rate
        given["smallest"], given["largest"] = (size / rate for size in config["step_sizes"])
        given["shrinking"], given["growth"] = config["etas"]
    if config.get("lr_decay"):
        rate = {"inverse_time": {"initial": rate, "rate": config["lr_decay"]}}
    known = optimizers[name].__dataclass_fields__
    return {name: {"learning_rate": rate} | {key: value for key, value in given.items() if key in known}}


@pytest.mark.parametrize("case", cases("optimizer"), ids=lambda case: case.id)
def test_optimizer_takes_the_recorded_ten_steps(case):
    with jax.enable_x64(True):
        (name,) = written = settings(case.config)
        chain = parse_registered(optimizers, written).build(None)
        params = {"node": {key: jnp.asarray(case.arrays[f"param0.{key}"]) for key in "wbs"}}
        grads = {"node": {key: jnp.asarray(case.arrays[f"grads.{key}"]) for key in "wbs"}}

        @jax.jit
        def run(params, grads):
            def body(carry, grad):
                carry = apply_gradients(chain, carry[0], grad, carry[1])
                return carry, carry[0]

            return jax.lax.scan(body, (params, chain.init(params)), grads)[1]

        found = jax.device_get(run(params, grads))["node"]
    tol = case.tol if name not in EPS_ELSEWHERE else {"rtol": EPS_ELSEWHERE[name], "atol": EPS_ELSEWHERE[name]}
    for key in "wbs":
        np.testing.assert_allclose(found[key], case.arrays[f"after.{key}"], **tol)


@pytest.mark.parametrize("case", cases("clip"), ids=lambda case: case.id)
def test_clipping_gives_the_recorded_gradients(case):
    with jax.enable_x64(True):
        limit = case.config.get("max_norm")
        rule = clip(case.config.get("clip_value"), None, limit)
        grads = {"node": {key: jnp.asarray(case.arrays[f"in.{key}"]) for key in "wb"}}
        clipped, _ = rule.update(grads, rule.init(grads))
        clipped = jax.device_get(clipped)["node"]
    norm = case.arrays.get("out.total_norm", 0.0)
    theirs = norm / (norm + 1e-6) if limit is not None and norm > limit else 1.0  # they add 1e-6 to the norm
    for key in "wb":
        np.testing.assert_allclose(clipped[key] * theirs, case.arrays[f"out.{key}"], **case.tol)


def schedule(config):
    """The schedule of a case, and the number of its steps that mean the same in retrograd."""
    initial, every_step = config["initial_lr"], 30
    match config["name"]:
        case "step":
            return {"step": {"initial": initial, "every": config["step_size"], "factor": config["gamma"]}}, every_step
        case "multistep":
            given = {"initial": initial, "at": config["milestones"], "factor": config["gamma"]}
            return {"milestones": given}, every_step
        case "exponential":
            return {"exponential": {"initial": initial, "factor": config["gamma"]}}, every_step
        case "cosine":  # afterwards theirs rises again and ours stays
            given = {"initial": initial, "final": config["eta_min"], "steps": config["T_max"]}
            return {"cosine": given}, config["T_max"] + 1
        case "cosine_restarts":
            given = {"initial": initial, "every": config["T_0"], "multiply": config["T_mult"]}
            return {"cosine_restarts": given}, every_step
        case "linear":  # from a part of the rate to the whole: a warmup
            assert config["end_factor"] == 1
            given = {"initial": initial, "warmup": config["total_iters"], "warmup_start": config["start_factor"]}
            return {"constant": given}, every_step
        case "polynomial":
            given = {"initial": initial, "power": config["power"], "steps": config["total_iters"]}
            return {"polynomial": given}, every_step
        case "cyclic":
            given = {"initial": config["base_lr"], "peak": config["max_lr"], "every": 2 * config["step_size_up"]}
            return {"cyclic": given}, every_step
        case "warmup_cosine":
            start, end, warmup = config["warmup_linear"]
            assert end == 1
            steps = config["then_cosine_T_max"]
            given = {"initial": initial, "steps": steps, "warmup": warmup, "warmup_start": start}
            return {"cosine": given}, warmup + steps + 1
    raise AssertionError(f"no schedule for {config['name']}")


@pytest.mark.parametrize("case", [c for c in cases("schedule") if "metric" not in c.arrays], ids=lambda case: case.id)
def test_schedule_gives_the_recorded_rates(case):
    written, same = schedule(case.config)
    with jax.enable_x64(True):
        rate = jax.jit(jax.vmap(parse_registered(schedules, written).build(None)))
        rates = jax.device_get(rate(jnp.arange(30, dtype=jnp.int32)))
    np.testing.assert_allclose(rates[:same], case.arrays["lr"][:same], **case.tol)


@pytest.mark.parametrize("case", [c for c in cases("schedule") if "metric" in c.arrays], ids=lambda case: case.id)
def test_plateau_gives_the_recorded_rates(case):
    config = case.config
    rule = ReduceOnPlateau(config["initial_lr"], config["factor"], config["patience"], config["threshold"],
                           config["cooldown"], config["min_lr"])  # fmt: skip
    optimizer, plateau, rates = SGD(rule), Plateau(), []
    with jax.enable_x64(True):
        for step, metric in enumerate(case.arrays["metric"]):
            rates.append(float(optimizer.rate(step)) * plateau.factor)
            plateau = rule.observe(plateau, float(metric))
    assert plateau.factor < 1  # the case does reach a plateau
    np.testing.assert_allclose(rates, case.arrays["lr"], **case.tol)
