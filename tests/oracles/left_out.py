"""Every oracle case that no test uses, with the reason. `tests/oracles/test_complete.py` holds it to that."""

LEFT_OUT: dict[str, str] = {
    "opt_sgd_dampening": "dampening is not offered: after the first step it is a smaller learning rate",
    "opt_sgd_maximize": "maximize is not offered: a loss is minimised",
    "opt_rprop": "rprop is for full batches; not offered",
    "sched_onecycle": "PyTorch's peak and end come one step earlier than optax's; see test_schedules",
    "bce_saturated": "probabilities are clipped at 1e-7 with gradient 0 outside, as in Keras; PyTorch clamps log at -100",
    "act_celu": "elu with its curve stretched so that the slope at 0 stays 1: not offered",
    "act_glu": "a gate of two halves is `branches` with merge multiply; not a layer of its own",
    "act_hardtanh": "clipping at -1 and 1: not offered, hard_sigmoid and relu6 are",
    "act_softmax_axis0": "softmax over the batch is refused: it would mix examples",
    "act_tanhshrink": "x - tanh(x): not offered",
}

# kinds of layers and losses that retrograd does not have (yet)
LEFT_OUT_KINDS: dict[str, str] = {
    "multi_margin": "hinge is for two classes, or for several independent ones",
    "hinge_embedding": "a hinge on distances that are given: contrastive takes the embeddings themselves",
    "cosine_embedding": "pairs by their angle and a margin: contrastive has distances, info_nce angles without margin",
    "poisson_nll": "no loss for counts",
    "gaussian_nll": "no loss with a predicted variance",
}
