"""Every oracle case that no test uses, with the reason. `tests/oracles/test_complete.py` holds it to that."""

LEFT_OUT: dict[str, str] = {
    "opt_sgd_dampening": "dampening is not offered: it only rescales learning rate and momentum after the first step",
    "opt_sgd_maximize": "maximize is not offered: a loss is minimised",
    "opt_adam_amsgrad": "optax takes the maximum after the bias correction, PyTorch before; see test_optimizers",
    "opt_adamw_amsgrad": "as opt_adam_amsgrad",
    "opt_nadam": "PyTorch's beta1 grows over time (momentum_decay), optax's is constant; see test_optimizers",
    "opt_rprop": "rprop is for full batches; not offered",
    "sched_onecycle": "PyTorch's peak and end come one step earlier than optax's; see test_schedules",
}

# kinds of layers and losses that retrograd does not have (yet)
LEFT_OUT_KINDS: dict[str, str] = {}
