"""Words of other frameworks: an error leads from each to the setting that is meant, and to its place."""

import pytest

from retrograd.base.document import parse_document
from retrograd.base.errors import ConfigError
from retrograd.base.synonyms import CALLED, same_thing, same_things
from retrograd.training.config.config import config_of

ROWS = """
optimizer: {sgd: {learning_rate: 0.1}, gradient_clipping: 1.0} | optimizer.gradient_clipping: unknown key | 'optimizer.sgd.clip_global_norm'
optimizer: {sgd: 0.1, clipnorm: 1.0} | 'optimizer.sgd.clip_norm'? settings belong under the name: {sgd: {clip_norm: 1.0}}
optimizer: {sgd: 0.1, momentum: 0.9, nesterov: true} | optimizer.momentum: | 'optimizer.sgd.momentum' | 'optimizer.sgd.nesterov'
optimizer: {sgd: {lr: 0.1}, clip: 1.0} | optimizer.sgd.lr: unknown key; did you mean 'learning_rate'
optimizer: {type: Adam, lr: 0.001, epsilon: 1} | {adam: {learning_rate: 0.001, eps: 1}}
optimizer: {name: adam, lr: 0.1} | settings belong under the name: {adam: {learning_rate: 0.1}}
optimizer: {class_name: RMSprop, rho: 0.9} | {rmsprop: {decay: 0.9}}
optimizer: {lr: 0.1} | add the name: {sgd: {learning_rate: 0.1}}
optimizer: {learning_rate: 0.1, momentum: 0.9} | add the name: {sgd: {learning_rate: 0.1, momentum: 0.9}}
optimizer: {sgd: {alpha: 0.001}} | 'weight_decay' or 'learning_rate'
optimizer: {rmsprop: {rho: 0.9}} | 'decay'
optimizer: {sgd: {rho: 0.9}} | 'momentum'
optimizer: {adam: {l2: 0.1, epsilon: 1, beta_1: 0.9}} | 'weight_decay' | 'eps' | 'beta1'
optimizer: {adam: {eta: 1, step_size: 1, learning_rate_init: 1}} | adam.eta: unknown key; did you mean 'learning_rate'
optimizer: {adam: {clipvalue: 1, global_clipnorm: 1, max_grad_norm: 1}} | 'clip_value' | 'clip_global_norm'
optimizer: {adam: {gradient_clip_val: 1}} | 'clip_global_norm'
optimizer: {adam: {use_nesterov: true}} | nadam
optimizer: {adam: {cosine: 0.1}} | 'optimizer.adam.learning_rate.cosine'
optimizer: {adam: {scheduler: cosine}} | learning_rate: {cosine: 0.001}
optimizer: {adam: {learning_rate: {cosine: {eta_min: 0.1}}}} | cosine.eta_min: unknown key; did you mean 'final'
optimizer: {adam: {learning_rate: {step: {step_size: 3, gamma: 0.1}}}} | 'every' | 'factor'
optimizer: {adam: {learning_rate: {StepLR: {}}}} | 'step'
training: {max_grad_norm: 1.0} | training.max_grad_norm | 'optimizer.adam.clip_global_norm'
training: {num_train_epochs: 3, per_device_train_batch_size: 4} | 'epochs' | 'batch_size'
training: {n_iter_no_change: 5} | 'training.early_stopping.patience'
training: {warm_start: last, save_every: 3} | 'start' | 'checkpoint'
training: {resume_from_checkpoint: last} | retrograd train --resume RUN
training: {warmup_steps: 5} | optimizer.adam.learning_rate.constant.warmup
training: {early_stopping: {rounds: 3, min_delta: 0.1, monitor: loss}} | 'patience' | 'min_change' | validation loss is monitored
training: {metrics: [accuracy], weight_decay: 0.1} | always measured | 'optimizer.adam.weight_decay'
training: {accumulate_grad_batches: 2, random_state: 1} | 'optimizer.adam.accumulate' | 'seed'
max_iter: 100 | 'training.epochs'
alpha: 0.1 | 'optimizer.adam.weight_decay' or 'optimizer.adam.learning_rate'
adam: 0.01 | 'optimizer.adam'
mse: {} | 'loss.mean_squared_error'
network: [{dense: 3, activation: relu}] | 'network.0.dense.activation'
network: [{dense: 3, trainable: false, lr: 0.1}] | 'frozen' | 'optimizer.adam.learning_rate'
network: [{dense: {out_features: 3, kernel_regularizer: l2}}] | 'units' | penalties: [{l2: 0.01}]
network: [{dense: {units: 3, dropout: 0.5, in_features: 3, weight_decay: 1}}] | {dropout: 0.5} | leave it out | 'optimizer.adam.weight_decay'
network: [{lstm: {hidden_size: 3, num_layers: 2, batch_first: true}}] | 'units' | 'layers' | leave it out
network: [{dropout: {p: 0.5}}] | 'rate'
network: [{conv2d: {out_channels: 3, kernel_size: 3, strides: 2, dilation_rate: 1}}] | 'filters' | 'kernel' | 'stride' | 'dilation'
network: [{max_pool: {pool_size: 2}}] | 'window'
network: [{leaky_relu: {negative_slope: 0.3}}] | 'slope'
network: [{multi_head_attention: {num_heads: 2, embed_dim: 8}}] | 'heads' | 'units'
network: [{batch_norm: {epsilon: 0.1}}] | 'eps'
network: [{embedding: {num_embeddings: 3, embedding_dim: 4}}] | 'vocabulary' | 'units'
network: [{dense: {units: 1, activation: Logistic}}] | 'sigmoid'
network: [Swish] | 'silu'
loss: {cross_entropy: {weight: [1, 2], ignore_index: 0}} | 'class_weights' | 'ignored'
loss: {binary_cross_entropy: {pos_weight: 2.0}} | 'positive_weight'
loss: {type: huber, beta: 2} | {huber: {delta: 2}}
loss: {name: mse} | write just the name: mean_squared_error
loss: sparse_categorical_crossentropy | 'cross_entropy'
loss: CrossEntropyLoss | 'cross_entropy'
loss: NLLLoss | 'nll'
loss: BCEWithLogitsLoss | 'binary_cross_entropy'
loss: MSELoss | 'mean_squared_error'
loss: L1Loss | 'mean_absolute_error'
loss: SmoothL1Loss | 'huber'
loss: KLDivLoss | 'kl_divergence'
penalties: [{l2: {lambda: 0.1}}] | 'strength'
data: {file: a.csv, label: y, batch_size: 3, test_size: 1} | 'path' | 'target' | 'training.batch_size' | 'split'
"""


@pytest.mark.parametrize("row", ROWS.strip().splitlines(), ids=lambda row: row.partition(" |")[0])
def test_an_error_leads_to_the_setting_that_is_meant(row):
    text, *words = row.split(" | ")
    with pytest.raises(ConfigError) as caught:
        config_of(parse_document(text if "network" in text else f"network: [{{dense: 1}}]\n{text}"))
    for word in words:
        assert word in str(caught.value)


def test_a_word_means_everything_that_it_may_stand_for_in_its_place():
    assert same_things("alpha", ["learning_rate", "weight_decay", "eps"]) == ["weight_decay", "learning_rate"]
    assert same_thing("alpha", ["eps"]) is None
    assert same_things("Learning-Rate", ["learning_rate"]) == ["learning_rate"]


def test_no_word_of_ours_is_called_by_its_own_name():
    assert not [name for name, others in CALLED.items() if name in others.split()]
