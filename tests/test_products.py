"""Products by copies of the weights: those of the layers, for any number of rows."""

import pytest
import torch
from torch import nn

from fewpass.runtime.cpu.linear import FEW, Product

ROWS = (1, 2, FEW, FEW + 1, 20, 70)

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


def layers(dtype=torch.float32):
    torch.manual_seed(0)
    return [nn.Linear(24, 10, dtype=dtype), nn.Linear(24, 7, bias=False, dtype=dtype), nn.Linear(24, 3, dtype=dtype)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", ROWS)
def test_layers_are_answered_side_by_side(rows, dtype):
    chosen, x = layers(dtype), torch.randn(rows, 24, dtype=dtype)
    y = Product(chosen)(x)
    assert y.is_contiguous()
    assert y.dtype == dtype
    torch.testing.assert_close(y, torch.cat([layer(x) for layer in chosen], -1))


@pytest.mark.parametrize("rows", ROWS)
def test_copies_stay_what_they_were(rows):
    chosen, x = layers(), torch.randn(rows, 24)
    product = Product(chosen[:1])
    due = chosen[0](x)
    chosen[0].weight.data.mul_(2)
    chosen[0].bias.data.add_(1)
    torch.testing.assert_close(product(x), due)


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("which", [0, 2])
def test_a_product_knows_when_its_layers_have_changed(part, which):
    chosen = layers()
    product = Product(chosen)
    assert product.current()
    getattr(chosen[which], part).data[-1].add_(1e-3)  # behind the back of version counters
    assert not product.current()
