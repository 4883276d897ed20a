"""Pictures from codes."""

import torch

from fewpass.models.pixels import painted


def decoder_of(seen):
    def decode(codes):
        seen.append(len(codes))
        return torch.stack([codes.float() / 2 - 1] * 3, 1)

    return decode


def test_pictures_are_made_one_after_the_other_on_a_cpu():
    seen, codes = [], torch.arange(24).view(3, 2, 4) % 5
    pictures = painted(decoder_of(seen), codes)
    assert seen == [1, 1, 1]
    assert pictures.shape == (3, 2, 4, 3)
    assert pictures.dtype == torch.uint8
    assert torch.equal(pictures[..., 1], torch.tensor([0, 64, 128, 191, 255])[codes].to(torch.uint8))


def test_no_pictures():
    assert painted(decoder_of([]), torch.zeros(0, 2, 4)).shape == (0, 2, 4, 3)
