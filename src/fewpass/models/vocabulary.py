"""Image tokens in a vocabulary that they share with text."""

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from fewpass.runtime.transformer import input_device


class ImageVocabulary:
    """Canvas token v, a code or a symbol of the layout, is the word `ids[v]` of the model: [V].

    Only that part of the output head is computed in which these words are.
    """

    def __init__(self, model: PreTrainedModel, ids: Tensor):
        words = model.get_input_embeddings().num_embeddings
        if int(ids.max()) >= words:
            raise ValueError(f"{model.config.name_or_path}: {int(ids.max())} is no id of an image token below {words}")
        self.model, self.ids = model, ids.to(input_device(model))
        self._span = slice(int(ids.min()), int(ids.max()) + 1)

    def embed(self, tokens: Tensor) -> Tensor:
        """What the language model reads for canvas tokens: [R, n] -> [R, n, D]."""
        return self.model.get_input_embeddings()(self.ids[tokens])

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden states [R, n, D] -> logits of canvas tokens [R, n, V]."""
        rows = self.rows
        if rows is None:
            return self.model.get_output_embeddings()(hidden).to(hidden.device)[..., self.ids]
        return F.linear(hidden, rows)[..., self.ids - self._span.start]

    @property
    def rows(self) -> Tensor | None:
        """The part of the head, [span, D]; None if it is quantised, or waits elsewhere until it is called."""
        head = self.model.get_output_embeddings()
        plain = type(head) is nn.Linear and head.bias is None and "_hf_hook" not in vars(head)
        return head.weight[self._span] if plain and not head.weight.is_meta else None
