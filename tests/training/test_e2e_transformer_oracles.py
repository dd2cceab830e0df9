"""Three optimizer steps of a small language model, every weight after each, against another implementation."""

import jax
import jax.numpy as jnp
import numpy as np

import retrograd as rg
from tests.network.test_attention_oracles import ours as attention
from tests.oracles import all_cases

KINDS = ("e2e",)
CASE = "e2e_transformer_ce_adam_clip"
PLACES = {  # recorded name -> node, parameter
    "pos": ("learned_positions_1", "weight"),
    "emb.weight": ("embedding_1", "weight"),
    "enc.linear1.weight": ("encoder/1/feed_forward/hidden", "weight"),
    "enc.linear1.bias": ("encoder/1/feed_forward/hidden", "bias"),
    "enc.linear2.weight": ("encoder/1/feed_forward/output", "weight"),
    "enc.linear2.bias": ("encoder/1/feed_forward/output", "bias"),
    "enc.norm1.weight": ("encoder/1/attention_norm", "scale"),
    "enc.norm1.bias": ("encoder/1/attention_norm", "bias"),
    "enc.norm2.weight": ("encoder/1/feed_forward_norm", "scale"),
    "enc.norm2.bias": ("encoder/1/feed_forward_norm", "bias"),
    "ln.weight": ("encoder/final_norm", "scale"),
    "ln.bias": ("encoder/final_norm", "bias"),
    "fc.weight": ("dense_1", "weight"),
    "fc.bias": ("dense_1", "bias"),
}
TABLES = ("pos", "emb.weight")  # not transposed
CLIPPED = 1e-9  # PyTorch adds 1e-6 to the norm that it divides by: gradients differ by 5e-7, steps of 0.003 by less


def test_three_steps_of_a_causal_transformer_equal_the_recorded_ones():
    case = all_cases()[CASE]
    with jax.enable_x64(True):
        network = rg.Network(
            rg.Embedding(8, 7),
            rg.LearnedPositions(),
            rg.named(rg.TransformerEncoder(8, 2, hidden=16, causal=True), "encoder"),
            rg.Dense(7),
        )
        objective = rg.Objective("loss", rg.CrossEntropy(), (network.output, "y"))
        stepper = rg.Stepper(network, [objective], rg.Adam(0.003, clip_global_norm=0.5))
        train = stepper.start(rg.Variables(of(case, "param0."), {}), jax.random.key(0))
        for t in range(3):
            batch = {"x": jnp.asarray(case.arrays["in.X"][t]), "y": jnp.asarray(case.arrays["in.Y"][t])}
            if t == 0:
                result = jax.jit(stepper.evaluate)(train, batch)
                expect(case, result.outputs[network.output].swapaxes(1, 2), case.arrays["step1.out"])
                factor = 0.5 / (case.arrays["step1.grad_norm"] + 1e-6)  # recorded after clipping
                jax.tree.map(
                    lambda a, b, factor=factor: expect(case, factor * a, b), result.grads, of(case, "step1.grad.")
                )
            train, outcome = stepper.single(train, batch)
            expect(case, outcome.loss, case.arrays[f"step{t + 1}.loss"], CLIPPED)
            jax.tree.map(lambda a, b: expect(case, a, b, CLIPPED), train.params, of(case, f"step{t + 1}.param."))


def of(case, prefix):
    """Return all parameters by node, recorded under names that begin with this prefix."""
    params = {"encoder/1/attention": attention(case.arrays, f"{prefix}enc.self_attn.")}
    for name, (node, param) in PLACES.items():
        array = case.arrays[prefix + name]
        params.setdefault(node, {})[param] = jnp.asarray(array if name in TABLES else array.T)
    return params


def expect(case, computed, recorded, least=0.0):
    np.testing.assert_allclose(computed, recorded, rtol=case.tol["rtol"], atol=max(case.tol["atol"], least))
