"""The bundled model's greedy images are those of transformers' own `generate`."""

import pytest
import torch
import transformers
from packaging.version import Version
from transformers import JanusForConditionalGeneration

from fewpass.models.zoo import BUNDLED

pytestmark = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.19"),
    reason=f"Janus in transformers {transformers.__version__} draws images that do not depend on the prompt",
)


def generated(folder, pipeline, prompts):
    """Image tokens [B, N]; the prompts are padded on the left, as `generate` wants them."""
    janus = JanusForConditionalGeneration.from_pretrained(folder, dtype=torch.float64).eval()
    config = janus.generation_config
    rows = [[*pipeline.model.tokenizer(text).input_ids, config.generation_kwargs["boi_token_id"]] for text in prompts]
    assert len(set(map(len, rows))) > 1
    longest = max(map(len, rows))
    ids = torch.tensor([[config.pad_token_id] * (longest - len(row)) + row for row in rows])
    real = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return janus.generate(ids, attention_mask=real, generation_mode="image", do_sample=False, guidance_scale=3.0)


@pytest.mark.parametrize("decoder", ["ar", "jacobi(window=5)"])
def test_small_model_draws_what_transformers_draws(folder, pipeline, decoder):
    prompts = ["red stars", "one", "two blue stars on a red background"]
    ours = pipeline(prompts, decoder=decoder, guidance=3.0, temperature=0).tokens
    assert torch.equal(ours, generated(folder, pipeline, prompts))


def test_bundled_model_draws_what_transformers_draws(emoji):
    prompts = ["two stars", "a cat on a blue background"]
    ours = emoji(prompts, decoder="ar", guidance=3.0, temperature=0).tokens
    assert torch.equal(ours, generated(BUNDLED["emoji"], emoji, prompts))
