"""Names that other frameworks use for settings, layers and losses of this package, so that their users find them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# our name: names in PyTorch, Keras, scikit-learn or common use; a name in several lists means the first that fits
CALLED = {
    # settings; alpha means a decay rather than a learning rate
    "decay": "rho alpha beta beta2 beta_2 smoothing discounting_factor gamma",
    "weight_decay": "l2 decay alpha lambda wd l2_regularization l2_reg l2_penalty reg_lambda ridge regularization "
    "l2_regularization_weight weightdecay",
    "learning_rate": "lr rate eta step_size learning_rate_init initial_lr base_lr max_lr peak_lr learn_rate learnrate "
    "initial_learning_rate alpha eta0 rate0",
    "epochs": "n_epochs num_epochs max_epochs max_iter iterations nepochs num_train_epochs n_iter epoch nb_epoch "
    "total_epochs training_epochs",
    "batch_size": "batch bs minibatch minibatch_size mini_batch_size train_batch_size per_device_train_batch_size "
    "batchsize mini_batch batches_size",
    "seed": "random_state random_seed manual_seed rng seed_everything",
    "early_stopping": "early_stop earlystopping",
    "patience": "rounds early_stopping_rounds early_stopping_patience n_iter_no_change",
    "min_change": "min_delta tol tolerance early_stopping_threshold",
    "start": "warm_start init_from init_checkpoint pretrained load_weights initial_weights",
    "checkpoint": "checkpoints checkpointing model_checkpoint save_every save_steps",
    "time_limit": "timeout max_time max_seconds",
    "momentum": "mu rho beta beta1 beta_1 b1 gamma alpha_momentum momentum_coefficient",
    "weight_decay_on": "exclude_from_weight_decay no_decay",
    "clip_global_norm": "gradient_clip_val max_grad_norm grad_clip clip_grad_norm clip_grad_norm_ clipping clip "
    "global_clipnorm gradient_clipping gradient_clip grad_clipping clip_gradients clip_gradient clip_grad max_norm "
    "grad_norm_clip clip_gradient_norm grad_clip_norm max_gradient_norm clip_by_global_norm gradient_norm_clip "
    "grad_norm clip_grads gradient_clip_norm max_grad",
    "clip_norm": "clipnorm clip_by_norm",
    "clip_value": "clipvalue clip_grad_value clip_grad_value_ clip_by_value clip_val gradient_clip_value",
    "accumulate": "accumulation accumulate_grad_batches gradient_accumulation_steps grad_accum accumulation_steps "
    "gradient_accumulation accum_iter micro_batches",
    "eps": "epsilon fuzz adam_epsilon layer_norm_eps layer_norm_epsilon variance_epsilon",
    "beta1": "beta_1 b1 adam_beta1 momentum",
    "beta2": "beta_2 b2 adam_beta2 rho",
    "nesterov": "nesterovs_momentum use_nesterov",
    "amsgrad": "ams_grad use_amsgrad",
    "bias_correction": "correct_bias correct_biases debias use_bias_correction",
    "initial_accumulator": "initial_accumulator_value",
    "centered": "centred",
    "momentum_decay": "schedule_decay",
    "evaluate_every": "check_val_every_n_epoch validation_freq eval_every eval_interval evaluate_each",
    "precision": "dtype mixed_precision fp16 bf16 floatx",
    "shuffle": "shuffled",
    "optimizer": "optimiser optim solver",
    "loss": "criterion objective loss_function cost loss_fn cost_function error loss_func",
    "network": "layers model architecture net hidden hidden_layers hidden_layer_sizes modules",
    "data": "dataset input source",
    "training": "train trainer fit",
    "penalties": "regularization regularizer regularizers penalty",
    "path": "file filename csv data_path",
    "target": "label labels targets y target_column y_column output",
    "exclude": "drop ignore drop_columns",
    "split": "validation_split test_size val_split validation_fraction validation_size val_size",
    "valid": "validation val validation_fraction val_fraction",
    "scale": "normalize standardize normalization scaler",
    "frozen": "freeze trainable requires_grad",
    "freeze": "frozen frozen_parameters no_grad",
    "inputs": "input from",
    "share": "tie tied shared",
    # of layers
    "units": "hidden width out_features size neurons n_units hidden_size output_dim dim nodes num_units embedding_dim "
    "n_hidden hidden_dim hidden_units out_dim output_size d_model embed_dim n_out key_dim num_hidden state_size",
    "filters": "out_channels channels features n_filters num_filters",
    "kernel": "kernel_size filter_size size kernel_shape",
    "window": "pool_size kernel_size kernel size pool",
    "stride": "strides step",
    "dilation": "dilation_rate",
    "groups": "num_groups n_groups param_groups parameter_groups lr_multipliers layer_lrs",
    "rate": "p prob probability dropout drop_rate dropout_rate drop_prob",
    "bias": "use_bias has_bias bias_initializer beta center",
    "weight": "kernel_initializer weights init initializer weight_init embeddings_initializer kernel_init w",
    "slope": "negative_slope alpha leak",
    "alpha": "slope negative_slope",
    "heads": "num_heads n_heads nhead n_head num_attention_heads",
    "layers": "num_layers n_layers depth num_hidden_layers",
    "hidden": "dim_feedforward intermediate_size ffn_dim mlp_dim d_ff",
    "output": "return_sequences",
    "causal": "is_causal use_causal_mask",
    "factor": "gamma decay_rate scale_factor size drop multiplier",
    "every": "step_size decay_steps t_0 period",
    "initial": "initial_learning_rate lr learning_rate base_lr initial_lr start",
    "peak": "max_lr peak_lr learning_rate lr",
    "final": "eta_min min_lr end_lr end_learning_rate final_lr alpha",
    "steps": "t_max decay_steps total_steps total_iters max_steps",
    "rise": "pct_start",
    "minimum": "min_lr min",
    "strength": "l l1 l2 lambda weight alpha factor value rate",
    "activation": "act nonlinearity activation_function non_linearity transfer_function act_fn hidden_act",
    "nonlinearity": "activation act",
    "label_smoothing": "smoothing label_smoothing_factor",
    "class_weights": "weight class_weight weights",
    "positive_weight": "pos_weight class_weight",
    "ignored": "ignore_index",
    "delta": "beta threshold",
    "std": "stddev sigma scale",
    "std_deviation": "std stddev sigma scale",
    "vocabulary": "num_embeddings input_dim vocab vocab_size n_vocab n_tokens",
    "dense": "linear fc fully_connected affine mlp",
    "batch_norm": "batch_normalization batchnorm1d batchnorm2d bn batchnorm3d",
    "layer_norm": "layer_normalization ln",
    "local_response_norm": "lrn local_response_normalization",
    "rotary_base": "rope_theta rope_base base",
    "rotary_share": "partial_rotary_factor rotary_pct",
    "rotary_stretch": "rope_scaling rope_scale",
    "head_width": "head_dim key_dim",
    "qk_norm": "use_qk_norm qk_layernorm query_key_norm",
    "value_width": "value_dim vdim",
    "softcap": "logit_softcapping attn_logit_softcapping logits_soft_cap",
    "norm_kind": "norm_type",
    "backwards": "go_backwards reverse",
    "projection": "proj_size",
    "peepholes": "use_peepholes peephole",
    "merge": "merge_mode",
    "running": "track_running_stats",
    "size": "depth_radius",
    "max_pool": "max_pooling maxpool1d maxpool2d maxpool3d max_pooling1d max_pooling2d max_pooling3d",
    "average_pool": "avg_pool avgpool1d avgpool2d avgpool3d average_pooling2d average_pooling1d average_pooling3d",
    "global_average_pool": "global_avg_pool global_average_pooling2d global_average_pooling1d gap",
    "adaptive_average_pool": "adaptive_avg_pool2d adaptive_avg_pool1d adaptive_avg_pool3d",
    "conv2d": "conv convolution convolution2d",
    "conv1d": "convolution1d",
    "conv2d_transpose": "conv_transpose2d deconv",
    "conv1d_transpose": "conv_transpose1d",
    "conv3d_transpose": "conv_transpose3d",
    "conv3d": "convolution3d",
    "adaptive_max_pool": "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
    "divisor": "divisor_override",
    "silu": "swish",
    "sigmoid": "logistic expit sigm",
    "tanh": "hyperbolic_tangent",
    "relu": "rectifier rectified_linear relu_",
    "gelu": "gelu_new quick_gelu gelu_pytorch_tanh",
    "softmax": "soft_max softmax2d",
    "leaky_relu": "lrelu",
    "clip": "hardtanh hard_tanh clamp",
    "glu": "gated_linear_unit swiglu geglu reglu",
    "snake": "snake_beta",
    "low": "min min_val",
    "high": "max max_val",
    "identity": "none linear passthrough",
    "multi_head_attention": "attention mha multihead_attention self_attention",
    "residual": "skip shortcut resnet_block",
    "repeat": "stack times",
    "concat": "concatenate cat",
    "gaussian_noise": "noise",
    "random_flip": "flip horizontal_flip random_horizontal_flip random_vertical_flip",
    "random_rotation": "rotate rotation",
    "random_scaling": "random_zoom zoom random_resized_crop",
    "random_crop": "crop random_translation random_shift",
    "cutout": "random_erasing erase",
    "token_dropout": "word_dropout",
    "upsample": "upsampling1d upsampling2d upsampling3d up_sampling2d interpolate",
    "pad": "zero_padding zero_padding1d zero_padding2d zero_padding3d constant_pad reflection_pad replication_pad "
    "circular_pad padding",
    "crop": "cropping1d cropping2d cropping3d center_crop",
    "permute": "transpose swapaxes permute_dims",
    "unfold": "im2col extract_patches patches",
    "pixel_shuffle": "depth_to_space sub_pixel",
    "pixel_unshuffle": "space_to_depth",
    "take": "select index_select gather slice get_item",
    "normalize": "unit_normalization l2_normalize",
    "logsumexp": "log_sum_exp lse",
    "subtract": "sub difference minus",
    "maximum": "max max_value",
    "average": "mean",
    "multiply": "mul product times",
    "add": "sum plus",
    "dot": "matmul inner batch_dot scalar_product",
    "border": "cropping",
    "axes": "dims axis",
    "axis": "dim axes",
    "keepdim": "keepdims",
    "at": "milestones boundaries steps indices index",
    # losses
    "cross_entropy": "categorical_cross_entropy sparse_categorical_cross_entropy softmax_loss negative_log_likelihood "
    "multinomial_logistic_loss categorical_crossentropy sparse_categorical_crossentropy cross_entropy_loss ce "
    "softmax_cross_entropy log_loss logloss",
    "binary_cross_entropy": "binary_log_loss logistic_loss logistic sigmoid_cross_entropy bce bce_loss "
    "bce_with_logits bce_with_logits_loss binary_crossentropy",
    "mean_squared_error": "mse mse_loss l2_loss l2 squared_error squared rmse "
    "quadratic quadratic_loss squared_loss sse",
    "mean_absolute_error": "mae mae_loss l1_loss l1 absolute_error",
    "huber": "smooth_l1 smooth_l1_loss huber_loss",
    "hinge": "hinge_loss svm squared_hinge",
    "kl_divergence": "kl_div kl_div_loss kld kl kullback_leibler_divergence kullback_leibler",
    "focal": "focal_loss binary_focal_crossentropy sigmoid_focal_loss",
    "triplet": "triplet_margin_loss triplet_loss triplet_margin triplet_semihard_loss",
    "info_nce": "nt_xent simclr",
    "contrastive": "contrastive_loss",
    "ctc": "ctc_loss",
    "dice": "dice_loss soft_dice",
    "tversky": "tversky_loss focal_tversky",
    "nll": "nll_loss negative_log_likelihood",
    "poisson_nll": "poisson poisson_nll_loss",
    "gaussian_nll": "gaussian_nll_loss heteroscedastic nll_gaussian",
    "quantile": "pinball pinball_loss quantile_loss tau",
    "log_cosh": "logcosh",
    "mean_absolute_percentage_error": "mape",
    "mean_squared_logarithmic_error": "msle",
    "cosine_embedding": "cosine_embedding_loss",
    "cosine_distance": "cosine_similarity cosine cosine_loss cosine_proximity",
    "multi_margin": "multi_margin_loss multiclass_hinge",
    "multi_label_margin": "multilabel_margin_loss",
    "categorical_hinge": "crammer_singer",
    "categorical_focal": "categorical_focal_crossentropy categorical_focal_cross_entropy",
    "generalized_cross_entropy": "gce gce_loss",
    "log_input": "from_log",
    # optimizers
    "sgd": "gradient_descent gd stochastic_gradient_descent batch_gradient_descent momentum vanilla nesterov",
    "adamw": "adam_w adamw_torch adamw_hf adamweightdecay decoupled_adam",
    "rmsprop": "rms_prop",
    "rprop": "resilient_backpropagation resilient",
    "growth": "eta_plus etaplus",
    "shrinking": "eta_minus etaminus",
    "adjust": "adjust_lr_fn",
    "rounds": "ns_steps",
    # schedules and initializers
    "cosine": "cosine_annealing cosine_annealing_lr cosine_decay",
    "cosine_restarts": "cosine_annealing_warm_restarts",
    "one_cycle": "one_cycle_lr",
    "step": "step_lr",
    "milestones": "multi_step_lr",
    "exponential": "exponential_lr exponential_decay exp",
    "linear": "linear_lr",
    "reduce_on_plateau": "reduce_lr_on_plateau plateau",
    "warmup": "warmup_steps num_warmup_steps warm_up warmup_iters warmup_updates lr_warmup linear_warmup",
    "warmup_start": "start_factor warmup_init_lr",
    "he_normal": "he kaiming kaiming_normal",
    "he_uniform": "kaiming_uniform",
    "glorot_uniform": "glorot xavier",
    "lecun_normal": "lecun",
    "normal": "gaussian random_normal",
}


def squashed(word: str) -> str:
    """Return a word in lower case without separators: `LeakyReLU` and `leaky_relu` become equal."""
    return re.sub(r"[^a-z0-9]", "", word.lower())


_OURS: dict[str, list[str]] = {}
for _name, _others in CALLED.items():
    for _other in _others.split():
        _OURS.setdefault(squashed(_other), []).append(_name)


def same_thing(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that a word most likely means in another spelling or framework; None if there is none."""
    return next(iter(same_things(word, known)), None)


def same_things(word: str, known: Iterable[str]) -> list[str]:
    """Return all known names that a word may mean, most likely first: alpha is a decay, or a learning rate."""
    by_form = {squashed(name): name for name in known}
    form = squashed(word)
    if form in by_form:
        return [by_form[form]]
    for variant in (form, form.removesuffix("loss"), form.removesuffix("layer"), form.removesuffix("lr")):
        names = [by_form[ours] for ours in (variant, *map(squashed, _OURS.get(variant, ()))) if ours in by_form]
        if names:
            return list(dict.fromkeys(names))
    return []
