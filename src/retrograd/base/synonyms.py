"""What other frameworks call things that have a name here, so that somebody who knows them is led to it."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Ours, and what PyTorch, Keras, scikit-learn or common speech call it; the first of ours that fits the place is meant.
CALLED = {
    # settings
    "learning_rate": "lr rate eta step_size learning_rate_init initial_lr base_lr",
    "epochs": "n_epochs num_epochs max_epochs max_iter iterations nepochs",
    "batch_size": "batch bs minibatch minibatch_size mini_batch_size train_batch_size per_device_train_batch_size",
    "seed": "random_state random_seed manual_seed rng",
    "early_stopping": "early_stop earlystopping early_stopping_patience n_iter_no_change",
    "patience": "rounds early_stopping_rounds",
    "min_change": "min_delta tol tolerance",
    "time_limit": "timeout max_time max_seconds",
    "weight_decay": "l2 decay alpha wd l2_regularization",
    "clip_global_norm": "gradient_clip_val max_grad_norm grad_clip clip_grad_norm clipping clip global_clipnorm",
    "clip_norm": "clipnorm",
    "clip_value": "clipvalue clip_grad_value",
    "accumulate": "accumulation accumulate_grad_batches gradient_accumulation_steps grad_accum accumulation_steps",
    "eps": "epsilon",
    "beta1": "beta_1 b1",
    "beta2": "beta_2 b2",
    "decay": "rho alpha",
    "nesterov": "nesterovs_momentum use_nesterov",
    "optimizer": "optimiser optim solver",
    "loss": "criterion objective loss_function cost loss_fn",
    "network": "layers model architecture net hidden hidden_layers hidden_layer_sizes modules",
    "data": "dataset input source",
    "training": "train trainer fit",
    "penalties": "regularization regularizer regularizers penalty",
    "path": "file filename csv data_path",
    "target": "label labels targets y target_column y_column output",
    "exclude": "drop ignore drop_columns",
    "split": "validation_split test_size val_split",
    "scale": "normalize standardize normalization scaler",
    "frozen": "freeze trainable requires_grad",
    "inputs": "input from",
    "share": "tie tied shared",
    # of layers
    "units": "hidden width out_features size neurons n_units hidden_size output_dim dim nodes num_units embedding_dim",
    "filters": "out_channels channels features",
    "kernel": "kernel_size filter_size",
    "stride": "strides",
    "rate": "p prob probability dropout",
    "bias": "use_bias",
    "weight": "kernel_initializer weights init initializer weight_init",
    "vocabulary": "num_embeddings input_dim vocab vocab_size",
    "dense": "linear fc fully_connected affine mlp",
    "batch_norm": "batch_normalization batchnorm1d batchnorm2d bn",
    "layer_norm": "layer_normalization ln",
    "max_pool": "max_pooling maxpool1d maxpool2d max_pooling1d max_pooling2d",
    "average_pool": "avg_pool avgpool1d avgpool2d average_pooling2d average_pooling1d",
    "global_average_pool": "global_avg_pool global_average_pooling2d global_average_pooling1d gap",
    "adaptive_average_pool": "adaptive_avg_pool2d adaptive_avg_pool1d",
    "conv2d": "conv convolution convolution2d",
    "conv1d": "convolution1d",
    "conv2d_transpose": "conv_transpose2d deconv",
    "silu": "swish",
    "leaky_relu": "lrelu",
    "identity": "none linear passthrough",
    "multi_head_attention": "attention mha multihead_attention self_attention",
    "residual": "skip shortcut resnet_block",
    "repeat": "stack times",
    "concat": "concatenate cat",
    "gaussian_noise": "noise",
    "upsample": "upsampling2d up_sampling2d",
    # losses
    "cross_entropy": "categorical_crossentropy sparse_categorical_crossentropy cross_entropy_loss ce nll nll_loss "
    "softmax_cross_entropy log_loss logloss",
    "binary_cross_entropy": "bce bce_loss bce_with_logits bce_with_logits_loss binary_crossentropy",
    "mean_squared_error": "mse mse_loss l2_loss l2 squared_error squared rmse",
    "mean_absolute_error": "mae mae_loss l1_loss l1 absolute_error",
    "huber": "smooth_l1 smooth_l1_loss huber_loss",
    "hinge": "hinge_loss svm",
    # schedules and initialisers
    "cosine": "cosine_annealing cosine_annealing_lr cosine_decay",
    "cosine_restarts": "cosine_annealing_warm_restarts",
    "one_cycle": "one_cycle_lr",
    "step": "step_lr",
    "milestones": "multi_step_lr",
    "exponential": "exponential_lr exponential_decay",
    "linear": "linear_lr",
    "reduce_on_plateau": "reduce_lr_on_plateau plateau",
    "warmup": "warmup_steps num_warmup_steps warm_up",
    "he_normal": "he kaiming kaiming_normal",
    "he_uniform": "kaiming_uniform",
    "glorot_uniform": "glorot xavier",
    "lecun_normal": "lecun",
    "normal": "gaussian random_normal",
}


def squashed(word: str) -> str:
    """Return a word without case and separators: `LeakyReLU` and `leaky_relu` are one."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


_OURS: dict[str, list[str]] = {}
for _name, _others in CALLED.items():
    for _other in _others.split():
        _OURS.setdefault(squashed(_other), []).append(_name)


def same_thing(found: str, known: Iterable[str]) -> str | None:
    """Return the known name that another spelling or another framework's word stands for, if there is one."""
    by_form = {squashed(name): name for name in known}
    form = squashed(found)
    for each in (form, form.removesuffix("loss"), form.removesuffix("layer")):
        for name in (each, *map(squashed, _OURS.get(each, ()))):
            if name in by_form:
                return by_form[name]
    return None
