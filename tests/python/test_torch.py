# SPDX-License-Identifier: Apache-2.0
"""PyTorch modules through `weft.from_torch`, against eager PyTorch; skipped where torch is not installed."""

import numpy as np
import pytest

import weft

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from torch import nn  # noqa: E402


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding="same", dilation=2)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 4 * 4, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 2)
        return self.fc(self.drop(x.flatten(1)))


@pytest.fixture()
def module():
    torch.manual_seed(3)
    return Small()


def test_float_is_eager_and_the_mode_comes_back(module):
    x = torch.randn(5, 3, 8, 8)
    module.train()
    module.norm.eval()
    model = weft.from_torch(module, x[:2])
    assert module.training and module.drop.training and not module.norm.training
    assert model.format == "torch"
    with torch.no_grad():
        wanted = module.eval()(x).numpy()
    np.testing.assert_allclose(model.predict(x.numpy(), use_float=True), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_load_takes_modules_and_options(module):
    x = torch.randn(2, 3, 8, 8)
    model = weft.load(module, x, input_type="fixed<12,4>", default_type="fixed<16,6>")
    assert list(model.outputs.values()) == [(5,)]
    assert model.configuration()  # reads the temporary file again
    with pytest.raises(ValueError):
        weft.load(module)


def test_refusal_names_the_operator():
    class Odd(nn.Module):
        def forward(self, x):
            return torch.special.bessel_j0(x)

    with pytest.raises(weft.CompileError) as caught:
        weft.from_torch(Odd(), torch.randn(2, 3))
    errors = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert errors and "special_bessel_j0" in errors[0].message


def test_brevitas_goes_through_qonnx():
    qnn = pytest.importorskip("brevitas.nn", reason="Brevitas is not installed")
    pytest.importorskip("qonnx", reason="qonnx is not installed")
    torch.manual_seed(0)
    module = nn.Sequential(qnn.QuantIdentity(bit_width=8), qnn.QuantLinear(6, 4, bias=True, weight_bit_width=4), qnn.QuantReLU(bit_width=4))
    x = torch.randn(20, 6)
    module(x)
    model = weft.from_torch(module.eval(), x)
    with torch.no_grad():
        wanted = module(x)
    wanted = getattr(wanted, "value", wanted).detach().numpy()
    np.testing.assert_allclose(model.predict(x.numpy(), use_float=True), wanted, rtol=0, atol=1e-5)
