"""Words that a tokenizer has never seen."""

from transformers import PreTrainedTokenizerBase


def check_known(prompt: str, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raise ValueError naming the words of `prompt` that would reach the model as "unknown".

    Only word-level vocabularies, like that of the bundled model, have such words.
    """
    if tokenizer.unk_token_id is None:
        return
    encoded = tokenizer(prompt, return_offsets_mapping=True, add_special_tokens=False)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    unknown = dict.fromkeys(prompt[start:end] for token, (start, end) in pairs if token == tokenizer.unk_token_id)
    if unknown:
        words = sorted(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens))
        raise ValueError(f"{name} has never seen {', '.join(map(repr, unknown))}; it knows {' '.join(words)}")
