"""Which causes explain which findings: the graph that puts causes before their consequences."""

from __future__ import annotations

from collections.abc import Collection

# any cause may lead to these
FAILURE = ("stuck", "underfit", "not_memorised", "constant_output", "slow", "hardly_moved")
STEPS = ("divergence", "oscillation", "nonfinite", "dead_units", "saturation", "exploding", "untrained", *FAILURE)
SIGNALS = ("vanishing", "exploding", "saturation", "dead_units", "untrained", "nonfinite", "initial_loss")
TOO_LARGE = ("curvature", *STEPS)  # consequences of numbers so large that the loss is strongly curved
SCALES = ("unscaled_inputs", "overscaled_inputs", "unscaled_target")
STILL = ("untrained", "vanishing", "slow_descent", "dead_units", *FAILURE)

EXPLAINS: dict[str, tuple[str, ...]] = {
    # the data
    "outliers": ("no_signal", *SCALES, "initial_loss", "travel", *TOO_LARGE),
    "unscaled_inputs": ("initial_loss", "learning_rate", "travel", "slow_descent", *TOO_LARGE),
    "overscaled_inputs": ("learning_rate", "travel", *STILL),
    "unscaled_target": ("initial_loss", "learning_rate", "travel", *TOO_LARGE),
    "unshuffled": ("bad_split", "oscillation", *FAILURE),
    "bad_split": ("overfit", "parts_differ", "imbalance", *FAILURE),
    "imbalance": FAILURE,
    "order_blind": FAILURE,
    "skipped_places": ("dead_units", "travel", "magnitudes", *FAILURE),
    "lost_on_the_way": ("travel", "curvature", "slow_descent", "magnitudes", *FAILURE),
    "augmentation": FAILURE,
    "tight_clip": ("coded_numbers", "no_signal", *FAILURE),
    "coded_numbers": ("narrow", *FAILURE),
    "loss_weights": ("initial_loss", "imbalance", "curvature", *FAILURE),
    "contradictory_rows": ("no_signal", *FAILURE),
    "no_signal": ("overfit", *FAILURE),
    "tiny_data": ("overfit",),
    # output and loss
    "one_unit_softmax": ("initial_loss", "travel", "vanishing", *STILL),
    "output_loss_pair": ("initial_loss", "nonfinite", "curvature", *STILL),
    "softmax_twice": STILL,
    "loss_for_task": ("target_out_of_range", "initial_loss", "nonfinite", *STILL),
    "target_out_of_range": ("loss_for_task", "unscaled_target", "initial_loss", "saturation", *STILL),
    "summed_loss": ("initial_loss", "learning_rate", *TOO_LARGE),
    "idle_units": ("initial_loss",),
    "wrong_gradient": (*STEPS, "slow_descent"),
    # the network
    "initial_weights": ("curvature", "symmetry", "slow_descent", *SIGNALS, *FAILURE),
    "initial_bias": ("travel", "curvature", "slow_descent", *SIGNALS, *FAILURE),
    "short_memory": FAILURE,
    "frozen": ("travel", "untrained", *FAILURE),
    "deep_saturation": ("narrow", "curvature", "slow_descent", *SIGNALS, *FAILURE),
    "no_bias": ("narrow", *FAILURE),
    "softmax_hidden": ("curvature", "vanishing", *STILL),
    "no_nonlinearity": FAILURE,
    "narrow": ("dead_units", *FAILURE),
    "strong_regularisation": ("slow_descent", "dead_units", *FAILURE),
    "batch_norm_momentum": ("batch_norm_lag", "overfit", *FAILURE),
    "batch_norm_lag": ("overfit", *FAILURE),
    # the updates
    "clipped": ("slow_descent", "travel", *STILL),
    "large_eps": ("learning_rate", "travel", *STILL),
    "strong_noise": ("slow_descent", "dead_units", *FAILURE),
    "rate_schedule": ("learning_rate", "curvature", "travel", "slow_descent", *STILL),
    "stopped_early": ("slow_descent", *FAILURE),
    "hardly_moved": ("stuck", "underfit", "not_memorised", "constant_output"),
    "learning_rate": ("slow_descent", "curvature", *STEPS),
    "curvature": ("slow_descent", *STEPS),
    "travel": STILL,
    "slow_descent": ("slow", *FAILURE),
    # the run: its findings are effects of the above, and sometimes of one another
    "dead_units": ("untrained", *FAILURE),
    "saturation": ("vanishing", *FAILURE),
    "symmetry": ("untrained", *FAILURE),
    "vanishing": ("untrained", *FAILURE),
    "exploding": ("nonfinite", "divergence"),
    "divergence": ("dead_units", "saturation", "oscillation", *FAILURE),  # units at 0 make no loss rise
    "oscillation": FAILURE,
}  # fmt: skip


def explained(names: Collection[str]) -> set[str]:
    """Return the names that others among them explain, except those that explain each other."""
    effects = set()
    for cause in names:
        for name in EXPLAINS.get(cause, ()):
            if name in names and cause not in EXPLAINS.get(name, ()):
                effects.add(name)
    return effects
