"""Advice for keys of other frameworks that correspond to no single setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retrograd.base.errors import did_you_mean
from retrograd.base.synonyms import same_thing, squashed

PENALTY = "a penalty belongs at the top level: penalties: [{l2: 0.01}]; weight_decay of the optimizer is another way"
SCHEDULE = "a schedule takes the place of the learning rate: optimizer: {adam: {learning_rate: {cosine: 0.001}}}"
WARMUP = (
    "warmup is a setting of a schedule: optimizer: {adam: {learning_rate: {cosine: {initial: 0.001, warmup: 100}}}}"
)
WIDTH = "leave it out: the width of an input follows from what the layer reads"
ENTRY = "write it as a separate entry after this one"
MEASURED = "leave it out: accuracy, r2 and the like are measured anyway"
SPLIT = "data: {split: {valid: 0.15}}"

ADVICE = {
    PENALTY: "kernel_regularizer weight_regularizer bias_regularizer activity_regularizer l1 l1_l2 l2_regularizer "
    "embeddings_regularizer",
    SCHEDULE: "scheduler lr_scheduler lr_schedule lr_scheduler_type learning_rate_schedule lr_policy schedule",
    WARMUP: "warmup warmup_steps num_warmup_steps warmup_ratio warmup_epochs",
    WIDTH: "in_features in_channels input_shape input_size input_dim num_features batch_input_shape normalized_shape "
    "in_dim n_in num_inputs",
    f"{ENTRY}: {{dropout: 0.5}}": "dropout dropout_rate drop_rate",
    f"{ENTRY}: batch_norm": "batch_norm batch_normalization batchnorm norm use_batch_norm normalizer_fn",
    "continue a run with `retrograd train --resume RUN`": "resume resume_from resume_from_checkpoint restore",
    MEASURED: "metrics metric compute_metrics",
    "early stopping belongs under training: {early_stopping: {patience: 20}}": "callbacks callback",
    SPLIT: "validation_data validation_split val_split validation_fraction test_size",
    "loss: {cross_entropy: {class_weights: [1, 5]}} weights the classes": "class_weight class_weights pos_weight",
    "leave it out: `classes` as units takes the number from the data": "num_classes n_classes num_labels nb_classes",
    "an option of the command line: --quiet": "verbose progress_bar enable_progress_bar silent",
    "an option of the command line: --run FOLDER": "output_dir log_dir logdir save_dir checkpoint_dir",
    "leave it out: the environment variable JAX_PLATFORMS chooses the device": "device accelerator gpus devices cuda "
    "use_gpu no_cuda",
    "leave it out: the loss of the validation part is watched": "monitor",
    "leave it out: the best weights are kept in any case": "restore_best_weights save_best_only load_best_model_at_end",
    "momentum belongs to sgd; nadam is adam with Nesterov's momentum": "nesterov use_nesterov nesterovs_momentum",
    "leave it out: the number of steps is epochs times batches": "steps_per_epoch max_steps num_steps",
    "mixed precision is training: {precision: bfloat16}": "amp fp16 bf16 mixed_precision half",
    "leave it out: rows come first in every array": "batch_first data_format channels_last time_major",
    "leave it out: no operation works in place": "inplace in_place",
    "`output: sequence` returns every step, `output: last` the last one": "return_sequences return_state",
    "write 1 - keep_prob as rate: {dropout: 0.2}": "keep_prob keep_probability",
    "clip_value cuts each entry, clip_norm each tensor, clip_global_norm all together": "gradient_clip_algorithm",
}
_BY_FORM = {squashed(word): text for text, words in ADVICE.items() for word in words.split()}


def near_key(word: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown key: the known key that is meant, what to do instead, or all known keys."""
    names = list(known)
    if same_thing(word, names) is None and squashed(word) in _BY_FORM:
        return _BY_FORM[squashed(word)]
    return did_you_mean(word, names)


def beside(key: str, value: Any, place: str, name: str, settings: Sequence[str]) -> str:
    """Return the hint for a key beside the name of an optimizer, loss...: it may belong under that name."""
    ours = same_thing(key, settings)
    if ours is None:
        return near_key(key, settings)
    return f"did you mean '{place}.{ours}'? its settings belong under its name: {{{name}: {{{ours}: {_short(value)}}}}}"


def renamed(settings: Mapping[str, Sequence[str]], value: Mapping[str, Any]) -> str:
    """Return the correct form of a mapping with the name as a value ({type: Adam, lr: 0.1}), or with no or two names.

    `settings` maps each name that is allowed here to its settings.
    """
    keys = [str(key) for key in value]
    named = [key for key in keys if key in settings]
    if len(named) > 1:
        return f"keep one of {' and '.join(named)}"
    for key, item in value.items():
        name = same_thing(item, settings) if isinstance(item, str) else None
        if name is not None and key not in settings[name]:
            rest = {other: inner for other, inner in value.items() if other != key}
            how = "its settings belong under its name" if rest else "write the name alone"
            return f"{how}: {_written(name, rest, settings[name])}"
    holders = [name for name, keys_here in settings.items() if keys and all(same_thing(key, keys_here) for key in keys)]
    if holders:
        return f"give its name: {_written(holders[0], value, settings[holders[0]])}"
    for key in keys:
        name = same_thing(key, settings)
        if name is not None:
            return f"did you mean '{name}'? its settings belong under its name: {{{name}: {{...}}}}"
    return ""


def stray_setting(settings: Mapping[str, Sequence[str]], key: Any, value: Any) -> str:
    """Return how to write a setting in the place of a name, as in `optimizer: {lr: 0.1}`; empty if it is not one."""
    if not isinstance(key, str) or value is None or same_thing(key, settings) is not None:
        return ""
    return renamed(settings, {key: value})


def _written(name: str, mapping: Mapping[str, Any], settings: Sequence[str]) -> str:
    inner = ", ".join(f"{same_thing(str(key), settings) or key}: {_short(item)}" for key, item in mapping.items())
    return f"{{{name}: {{{inner}}}}}" if inner else name


def _short(value: Any) -> str:
    """Return a value as YAML in one line; dots replace a long one."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float, str)) and len(str(value)) < 20 else "..."
