import pytest
import torch

import fewpass
from fewpass.runtime.device import chosen_device, chosen_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_default_device_is_the_gpu_if_there_is_one():
    assert chosen_device(None).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda:99", r"device 'cuda:99' is not there: \d+ GPUs are visible"),
        ("gpu", "there is no device called 'gpu'; use cpu or cuda"),
        ("mps", "device 'mps' is not supported: .*use cpu or cuda"),
        ("meta", "device 'meta' is not supported: .*use cpu or cuda"),
    ],
)
def test_unusable_device_is_refused(folder, device, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        fewpass.load(folder, device=device)


def test_default_precision_depends_on_the_device():
    assert chosen_dtype(None, CPU) == torch.float32
    assert chosen_dtype(None, CUDA) == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float64", torch.float64])
def test_precision_by_name_or_value(dtype):
    assert chosen_dtype(dtype, CPU) == torch.float64


@pytest.mark.parametrize("dtype", ["float8", torch.int64])
def test_unknown_precision_is_refused(folder, dtype):
    with pytest.raises(ValueError, match=f"dtype must be one of float32, .*got '{dtype}'"):
        fewpass.load(folder, "cpu", dtype)


@pytest.mark.parametrize("option", ["device", "dtype", "attn_implementation"])
def test_long_names_are_not_repeated_whole(folder, option):
    with pytest.raises(ValueError, match=r"xxx\.\.\.xxx") as error:
        fewpass.load(folder, **{option: "x" * 9000})
    assert len(str(error.value)) < 200
