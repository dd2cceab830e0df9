"""Advice for keys of other frameworks that have no single counterpart here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from retrograd.base.errors import did_you_mean
from retrograd.base.sentence import entry_setting, sentence
from retrograd.base.synonyms import same_thing, squashed

PENALTY = "penalties belong at the top level: penalties: [{l2: 0.01}]; an alternative is the optimizer's weight_decay"
SCHEDULE = "a schedule replaces the learning rate: optimizer: {adam: {learning_rate: {cosine: 0.001}}}"
WARMUP = "warmup is a setting of schedules: optimizer: {adam: {learning_rate: {cosine: {initial: 0.001, warmup: 100}}}}"
WIDTH = "leave it out: a layer infers the size of its input"
ENTRY = "write it as a separate entry after this one"
MEASURED = "leave it out: accuracy, r2 and the like are always measured"
SPLIT = "data: {split: {valid: 0.15}}"
CLASSES = "leave it out: " + entry_setting("units", "classes") + " takes the number from the data"
STEPS = sentence(
    "{} returns every step, {} only the last", entry_setting("output", "sequence"), entry_setting("output", "last")
)

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
    CLASSES: "num_classes n_classes num_labels nb_classes",
    "an option of the command line: --quiet": "verbose progress_bar enable_progress_bar silent",
    "an option of the command line: --run FOLDER": "output_dir log_dir logdir save_dir checkpoint_dir",
    "leave it out: the environment variable JAX_PLATFORMS selects the device": "device accelerator gpus devices cuda "
    "use_gpu no_cuda",
    "leave it out: the validation loss is monitored": "monitor",
    "leave it out: the best weights are always kept": "restore_best_weights save_best_only load_best_model_at_end",
    "momentum is a setting of sgd; nadam is adam with Nesterov momentum": "nesterov use_nesterov nesterovs_momentum",
    "leave it out: the number of steps is epochs times batches": "steps_per_epoch max_steps num_steps",
    "mixed precision is training: {precision: bfloat16}": "amp fp16 bf16 mixed_precision half",
    "leave it out: the batch is the first axis of every array": "batch_first data_format channels_last time_major",
    "leave it out: no operation works in place": "inplace in_place",
    STEPS: "return_sequences return_state",
    "write 1 - keep_prob as rate: {dropout: 0.2}": "keep_prob keep_probability",
    "clip_value clips each entry, clip_norm each tensor, clip_global_norm all together": "gradient_clip_algorithm",
}
_BY_FORM = {squashed(word): text for text, words in ADVICE.items() for word in words.split()}


def near_key(word: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown key: the key that is probably meant, what to do instead, or all known keys."""
    names = list(known)
    if same_thing(word, names) is None and squashed(word) in _BY_FORM:
        return _BY_FORM[squashed(word)]
    return did_you_mean(word, names)


def beside(key: str, value: Any, place: str, name: str, settings: Sequence[str]) -> str:
    """Return the hint for a key next to the name of an optimizer, loss...: it may belong under that name."""
    setting = same_thing(key, settings)
    if setting is None:
        return near_key(key, settings)
    form = f"{{{name}: {{{setting}: {_short(value)}}}}}"
    return f"did you mean '{place}.{setting}'? settings belong under the name: {form}"


def renamed(settings: Mapping[str, Sequence[str]], value: Mapping[str, Any]) -> str:
    """Return the correct form of a mapping with the name as a value ({type: Adam, lr: 0.1}), or with no or two names.

    `settings` maps each name allowed here to its settings.
    """
    keys = [str(key) for key in value]
    named = [key for key in keys if key in settings]
    if len(named) > 1:
        return f"keep one of {' and '.join(named)}"
    for key, item in value.items():
        name = same_thing(item, settings) if isinstance(item, str) else None
        if name is not None and key not in settings[name]:
            rest = {other: inner for other, inner in value.items() if other != key}
            hint = "settings belong under the name" if rest else "write just the name"
            return f"{hint}: {_written(name, rest, settings[name])}"
    owners = [name for name, own_keys in settings.items() if keys and all(same_thing(key, own_keys) for key in keys)]
    if owners:
        return f"add the name: {_written(owners[0], value, settings[owners[0]])}"
    for key in keys:
        name = same_thing(key, settings)
        if name is not None:
            return f"did you mean '{name}'? settings belong under the name: {{{name}: {{...}}}}"
    return ""


def stray_setting(settings: Mapping[str, Sequence[str]], key: Any, value: Any) -> str:
    """Return the correct form of a setting in place of a name, as in `optimizer: {lr: 0.1}`; else empty."""
    if not isinstance(key, str) or value is None or same_thing(key, settings) is not None:
        return ""
    return renamed(settings, {key: value})


def _written(name: str, mapping: Mapping[str, Any], settings: Sequence[str]) -> str:
    inner = ", ".join(f"{same_thing(str(key), settings) or key}: {_short(item)}" for key, item in mapping.items())
    return f"{{{name}: {{{inner}}}}}" if inner else name


def _short(value: Any) -> str:
    """Return a value as YAML on one line; a long one is replaced by dots."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float, str)) and len(str(value)) < 20 else "..."
