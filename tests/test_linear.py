"""Linear layers on copied weights equal the layers themselves, for any number of rows."""

import pytest
import torch
from torch import nn

from fewpass.runtime.cpu.linear import FEW, Linear

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
def test_linear_equals_its_layers_side_by_side(rows, dtype):
    chosen, x = layers(dtype), torch.randn(rows, 24, dtype=dtype)
    y = Linear(chosen)(x)
    assert y.is_contiguous()
    assert y.dtype == dtype
    torch.testing.assert_close(y, torch.cat([layer(x) for layer in chosen], -1))


@pytest.mark.parametrize("rows", ROWS)
def test_linear_keeps_the_weights_it_copied(rows):
    chosen, x = layers(), torch.randn(rows, 24)
    product = Linear(chosen[:1])
    due = chosen[0](x)
    chosen[0].weight.data.mul_(2)
    chosen[0].bias.data.add_(1)
    torch.testing.assert_close(product(x), due)


@pytest.mark.parametrize("part", ["weight", "bias"])
@pytest.mark.parametrize("which", [0, 2])
def test_is_current_sees_changed_weights(part, which):
    chosen = layers()
    product = Linear(chosen)
    assert product.is_current()
    getattr(chosen[which], part).data[-1].add_(1e-3)  # behind the back of version counters
    assert not product.is_current()
