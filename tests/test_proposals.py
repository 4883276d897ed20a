import torch

from fewpass.decoders.draft_init import Proposals


def law(number):
    return torch.full((1, 1, 2), float(number))


def test_ring_holds_the_newest_positions():
    laws = Proposals(torch.zeros(1, 3, 2))
    for position in range(8):
        laws.write(torch.tensor([[position]]), law(position))
    assert laws.read(torch.tensor([[5, 6, 7]]))[0, :, 0].tolist() == [5, 6, 7]


def test_ring_is_ragged():
    laws = Proposals(torch.zeros(2, 4, 2))
    index = torch.tensor([[0, 1], [6, 7]])
    laws.write(index, torch.arange(8.0).view(2, 2, 2))
    assert torch.equal(laws.read(index), torch.arange(8.0).view(2, 2, 2))
    assert laws.read(torch.tensor([[1], [6]]))[:, 0, 0].tolist() == [2, 4]
