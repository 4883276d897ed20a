"""Sessions of a transformer, against full passes without a cache."""

import pytest
import torch

import fewpass
from fewpass import Query
from fewpass.runtime.kv_cache import SlotCache
from tests.tiny import BEGIN, BOS, CODES, PAD, SIDE

PROMPTS = ["red stars", "one", "two blue stars on a red background"]
N = SIDE**2
TOKENS = torch.randint(CODES, (3, N), generator=torch.Generator().manual_seed(1))
POSITIONS = torch.arange(N).expand(3, -1)

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.inference_mode():
        yield


def opened(pipeline, prompts, guidance=1.0):
    return pipeline.model.open(prompts, pipeline.model.grid(None), guidance, [None] * len(prompts))


def row(pipeline, prompt):
    return torch.tensor([*pipeline.model.tokenizer(prompt).input_ids, BEGIN])


def full_pass(pipeline, ids, tokens):
    """Logits of the N image tokens and of what would follow, from one pass of transformers' own model. [N + 1, V]"""
    janus = pipeline.model.model
    words = janus.get_input_embeddings()(ids)
    codes = janus.prepare_embeddings_for_image_generation(tokens)
    hidden = janus.model.language_model(inputs_embeds=torch.cat([words, codes])[None], use_cache=False)
    return janus.model.generation_head(hidden.last_hidden_state)[0, len(ids) - 1 :]


def expected(pipeline, prompts=PROMPTS, tokens=TOKENS):
    return torch.stack([full_pass(pipeline, row(pipeline, p), t) for p, t in zip(prompts, tokens, strict=True)])


def ask(session, start, stop, tokens=TOKENS):
    images = len(tokens)
    return session(Query(tokens[:, start:stop], torch.arange(start, stop).expand(images, -1)))


def assert_close(a, b, within=1e-11):
    assert a.dtype == b.dtype == torch.float64
    assert (a - b).abs().max() < within


@pytest.mark.parametrize("window", [1, 3, 7, N])
def test_windows_give_the_logits_of_a_full_pass(pipeline, window):
    session = opened(pipeline, PROMPTS)
    answers = [ask(session, start, min(start + window, N)) for start in range(0, N, window)]
    assert_close(torch.cat([session.first, *answers], 1), expected(pipeline))


# Eager attention of transformers takes its softmax in float32 whatever the model's precision: 3e-6 was seen.
@pytest.mark.parametrize(("attention", "within"), [("eager", 3e-5), ("sdpa", 1e-11)])
def test_attention_implementations_agree(folder, pipeline, attention, within):
    other = fewpass.load(folder, "cpu", "float64", attn_implementation=attention)
    session = opened(other, PROMPTS)
    assert other.model.model.model.language_model.config._attn_implementation == attention
    assert_close(torch.cat([session.first, ask(session, 0, 5), ask(session, 5, N)], 1), expected(pipeline), within)


def test_attention_without_a_mask_is_refused(folder):
    with pytest.raises(ValueError, match="'flash_attention_2' takes no 4-D mask; use one of sdpa, eager"):
        fewpass.load(folder, "cpu", attn_implementation="flash_attention_2")


def test_wrong_drafts_have_no_effect(pipeline):
    session = opened(pipeline, PROMPTS)
    ask(session, 0, 3)
    ask(session, 3, N, (TOKENS + 1) % CODES)
    ask(session, 3, 6, (TOKENS + 2) % CODES)
    assert_close(ask(session, 3, N), expected(pipeline)[:, 4:])


def test_images_go_on_from_different_positions(pipeline):
    session = opened(pipeline, PROMPTS)
    ask(session, 0, 9, (TOKENS + 1) % CODES)
    ask(session, 0, 9)
    index = torch.tensor([[2, 3, 4], [8, 9, 10], [5, 6, 7]])
    answers = session(Query(TOKENS.gather(1, index), index))
    full = expected(pipeline)
    assert_close(answers, torch.stack([full[i, index[i] + 1] for i in range(3)]))


def test_prompts_of_different_length_are_independent(pipeline):
    together = opened(pipeline, PROMPTS, guidance=3.0)
    answers = torch.cat([together.first, ask(together, 0, N)], 1)
    for i, prompt in enumerate(PROMPTS):
        alone = opened(pipeline, [prompt], guidance=3.0)
        assert_close(torch.cat([alone.first, ask(alone, 0, N, TOKENS[i : i + 1])], 1), answers[i : i + 1])


@pytest.mark.parametrize("guidance", [0.0, 0.5, 3.0])
def test_guidance_mixes_the_prompt_with_padding_of_its_length(pipeline, guidance):
    session = opened(pipeline, PROMPTS, guidance)
    mixed = []
    for prompt, tokens in zip(PROMPTS, TOKENS, strict=True):
        ids = row(pipeline, prompt)
        nothing = torch.tensor([BOS, *[PAD] * (len(ids) - 2), BEGIN])
        free = full_pass(pipeline, nothing, tokens)
        mixed.append(free + guidance * (full_pass(pipeline, ids, tokens) - free))
    assert_close(torch.cat([session.first, ask(session, 0, N)], 1), torch.stack(mixed))


def test_guidance_1_is_one_row(pipeline):
    assert len(opened(pipeline, PROMPTS).offset) == 3
    assert len(opened(pipeline, PROMPTS, guidance=3.0).offset) == 6


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_selected_images_go_on(pipeline, guidance):
    session, whole = opened(pipeline, PROMPTS, guidance), opened(pipeline, PROMPTS, guidance)
    ask(session, 0, 4)
    chosen = torch.tensor([2, 0])
    part = session.select(chosen)
    assert torch.equal(part.first, whole.first[chosen])
    assert_close(ask(part, 4, N, TOKENS[chosen]), ask(whole, 0, N)[chosen, 4:])


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_joined_images_go_on(pipeline, guidance, order):
    """The longer prompt comes first or last: either session may have more slots."""
    early, late = ([PROMPTS[i] for i in part] for part in (order[:1], order[1:]))
    tokens = TOKENS[list(order)]
    session = opened(pipeline, early, guidance)
    ask(session, 0, 4, tokens[:1])
    session = session.join(opened(pipeline, late, guidance))
    index = torch.tensor([[4, 5, 6], [0, 1, 2], [0, 1, 2]])
    answers = session(Query(tokens.gather(1, index), index))
    full = opened(pipeline, [*early, *late], guidance)
    assert_close(session.first, full.first)
    assert_close(answers, ask(full, 0, N, tokens).gather(1, index[..., None].expand(-1, -1, CODES)))


def test_positions_past_the_image_have_no_effect(pipeline):
    session = opened(pipeline, PROMPTS)
    ask(session, 0, 10)
    index = torch.arange(10, N + 6).expand(3, -1)
    tokens = torch.cat([TOKENS, TOKENS], 1)
    answers = session(Query(tokens.gather(1, index), index))
    assert_close(answers[:, : N - 10], expected(pipeline)[:, 11:])
    assert_close(ask(session, 10, N), expected(pipeline)[:, 11:])


@pytest.mark.parametrize("aside", [N - 2, N + 1], ids=["at the end of the image", "past the image"])
def test_branches_of_a_tree_do_not_see_each_other(pipeline, aside):
    """Behind two tokens two branches of two, the second of them kept in the slots from `aside`."""
    session = opened(pipeline, PROMPTS, guidance=3.0)
    ask(session, 0, 2)
    main, side = TOKENS[:, 2:4], (TOKENS[:, 2:4] + 5) % CODES
    sees = torch.zeros(4, N + 3, dtype=torch.bool)
    for query, slots in enumerate([(0, 1, 2), (0, 1, 2, 3), (0, 1, aside), (0, 1, aside, aside + 1)]):
        sees[query, list(slots)] = True
    answers = session(
        Query(
            torch.cat([main, side], 1),
            torch.tensor([2, 3, 2, 3]).expand(3, -1),
            torch.tensor([2, 3, aside, aside + 1]).expand(3, -1),
            sees.expand(3, -1, -1),
        )
    )
    for branch, part in ((main, answers[:, :2]), (side, answers[:, 2:])):
        tokens = torch.cat([TOKENS[:, :2], branch], 1)
        assert_close(part, ask(opened(pipeline, PROMPTS, 3.0), 0, 4, tokens)[:, 2:])


def test_layout_forbids_after_guidance(pipeline):
    grid = fewpass.Grid(SIDE, SIDE, CODES, codes=CODES - 1, forced=torch.tensor([-1, -1, -1, CODES - 1] * SIDE))
    session = pipeline.model.open(PROMPTS, grid, 3.0, [None] * 3)
    assert (session.first > -torch.inf).sum(-1).tolist() == [[CODES - 1]] * 3
    assert (ask(session, 0, 4) > -torch.inf).sum(-1).tolist() == [[CODES - 1, CODES - 1, 1, CODES - 1]] * 3


# The cache by itself.


def test_query_sees_what_is_written_and_not_later():
    cache = SlotCache(1, 2, 6, torch.device("cpu"))
    first = cache.begin_pass(
        torch.tensor([[0, 1, 2], [0, 1, 2]]), real=torch.tensor([[True, True, True], [True, False, False]])
    )
    assert first[0, 0, :, :4].tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert first[1, 0, 2, :4].tolist() == [1, 0, 0, 0]  # padding is not real
    then = cache.begin_pass(torch.tensor([[3, 4], [1, 2]]))
    assert then[0, 0, :, :6].tolist() == [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]]
    assert then[1, 0, :, :6].tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]]


@pytest.mark.parametrize(("rows", "slots", "fits"), [(1, 3, True), (1, 99, False), (2, 3, False)])
def test_rows_of_a_joined_cache_are_written_into_freed_memory_where_they_fit(rows, slots, fits):
    cache = filled(3, 6)
    address = cache.layers[0].keys.data_ptr()
    both = cache.select(torch.tensor([0, 2])).join(filled(rows, slots, first=7))
    assert (both.layers[0].keys.data_ptr() == address) is fits
    assert both.layers[0].values[:, 0, 0, 0].tolist() == [0, 2, 7, 8][: 2 + rows]
    assert both.written.sum(1).tolist() == [1] * (2 + rows)
    assert both.written[:, 0].all()


def test_slots_stay_in_buckets_after_select_and_join():
    """Otherwise an image would be rounded differently once another one has left."""
    cache = SlotCache(1, 2, 250, torch.device("cpu"))
    cache.begin_pass(torch.zeros(2, 1, dtype=torch.long))
    cache.layers[0].hold(*(torch.zeros(2, 2, 384, 4) for _ in range(2)))
    for each in (cache, part := cache.select(torch.tensor([1])), part.join(filled(1, 383))):
        assert each.begin_pass(torch.full((len(each.written), 1), 200)).shape[-1] == 384


def filled(rows: int, slots: int, first: int = 0) -> SlotCache:
    """A cache whose row r holds first + r everywhere, one slot of which may be seen."""
    cache = SlotCache(1, rows, slots, torch.device("cpu"))
    cache.begin_pass(torch.zeros(rows, 1, dtype=torch.long))
    values = torch.arange(first, first + rows).view(-1, 1, 1, 1).expand(-1, 2, cache.written.shape[1], 4).float()
    cache.layers[0].hold(values.clone(), values.clone())
    return cache


def test_slots_that_were_skipped_are_masked():
    cache = SlotCache(1, 1, 6, torch.device("cpu"))
    cache.begin_pass(torch.tensor([[0, 3]]))
    assert cache.begin_pass(torch.tensor([[5]]))[0, 0, 0, :6].tolist() == [1, 0, 0, 1, 0, 1]
