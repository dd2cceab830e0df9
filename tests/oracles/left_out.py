"""Every oracle case that no test uses, with the reason. `tests/oracles/test_complete.py` holds it to that."""

LEFT_OUT: dict[str, str] = {
    "opt_sgd_dampening": "dampening is not offered: after the first step it is a smaller learning rate",
    "opt_sgd_maximize": "maximize is not offered: a loss is minimised",
    "sched_onecycle": "PyTorch's peak and end come one step earlier than optax's; see test_schedules",
    "bce_saturated": "probabilities are clipped at 1e-7 with gradient 0 outside, as in Keras; PyTorch clamps log at -100",
    "act_softmax_axis0": "softmax over the batch is refused: it would mix examples",
    "act_tanhshrink": "x - tanh(x): not offered",
}

# kinds of layers and losses that retrograd does not have (yet)
LEFT_OUT_KINDS: dict[str, str] = {}
