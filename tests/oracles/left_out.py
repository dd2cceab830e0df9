"""Every oracle case that no test uses, with the reason. `tests/oracles/test_complete.py` holds it to that."""

LEFT_OUT: dict[str, str] = {
    "opt_sgd_dampening": "dampening is not offered: after the first step it is a smaller learning rate",
    "opt_sgd_maximize": "maximize is not offered: a loss is minimised",
    "opt_adam_amsgrad": "optax takes the maximum after the bias correction, PyTorch before; see test_optimizers",
    "opt_adamw_amsgrad": "as opt_adam_amsgrad",
    "opt_nadam": "PyTorch's beta1 grows over time (momentum_decay), optax's is constant; see test_optimizers",
    "opt_rprop": "rprop is for full batches; not offered",
    "sched_onecycle": "PyTorch's peak and end come one step earlier than optax's; see test_schedules",
    "bce_saturated": "probabilities are clipped at 1e-7 with gradient 0 outside, as in Keras; PyTorch clamps log at -100",
}

# kinds of layers and losses that retrograd does not have (yet)
LEFT_OUT_KINDS: dict[str, str] = {
    "nll": "no loss on log probabilities: cross_entropy takes logits or probabilities",
    "kldiv": "no loss on log probabilities; cross_entropy on soft targets has the same gradient by the logits",
    "multi_margin": "hinge is for two classes, or for several independent ones",
    "hinge_embedding": "no loss on distances between pairs",
    "cosine_embedding": "no loss on distances between pairs",
    "triplet": "no loss on distances between triplets",
    "poisson_nll": "no loss for counts",
    "gaussian_nll": "no loss with a predicted variance",
    "ctc": "no loss for sequences without alignment",
}
