# SPDX-License-Identifier: Apache-2.0
"""Random quantized modules of Brevitas, exported as QONNX or QCDQ, with what Brevitas itself computes in PyTorch; of QCDQ, whose
operators leave out some of what Brevitas does (other roundings, integers of shifted weights), what ONNX Runtime computes of the file.

    python tests/interop/brevitas_models.py FOLDER [--count N] [--seed N] [--first N]

Writes NUMBER_KIND.onnx and .npz (x:<input>, y:<output>, near). `near` marks the samples in which a number in front of some
quantizer lies so close to a tie that float32's roundings decide about the integer; all others must agree. Every second module has
scales that are powers of two: there no number is rounded at all, and where the certificate says so integers must be equal for
every sample.
"""

import argparse
import collections
import pathlib
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

import brevitas.nn as qnn
from brevitas.export import export_onnx_qcdq, export_qonnx
from brevitas.quant import binary, fixed_point, scaled_int, shifted_scaled_int, ternary
from torch_models import Draw

BATCH = 37  # of no other axis, so that data is told from weights
NEAR = 1e-4  # of a step; sums of a hundred products round to a few 1e-5 of one


class Choice(Draw):
    """Quantizers: of one family of scales, powers of two or any."""

    def weight(self, bits=None):
        if self.exact:
            kinds = [fixed_point.Int8WeightPerTensorFixedPoint, fixed_point.Int8WeightPerChannelFixedPoint,
                     fixed_point.Int8WeightPerTensorFixedPointMSE]
        else:
            kinds = [scaled_int.Int8WeightPerTensorFloat, scaled_int.Int8WeightPerChannelFloat, scaled_int.Int8WeightPerTensorFloatMSE,
                     scaled_int.Int8WeightPerChannelFloatDecoupled, shifted_scaled_int.ShiftedUint8WeightPerTensorFloat,
                     shifted_scaled_int.ShiftedUint8WeightPerChannelFloat]
        if self.flag(0.15):
            return {"weight_quant": self.pick(binary.SignedBinaryWeightPerTensorConst, ternary.SignedTernaryWeightPerTensorConst),
                    "weight_scaling_const": self.pick(0.25, 0.5) if self.exact else 0.3}
        quant = self.pick(*kinds)
        if not quant.__name__.startswith("Shifted") and self.flag(0.3):
            return {"weight_quant": quant, "weight_bit_width": bits or self.size(2, 8), "weight_narrow_range": self.flag()}
        return {"weight_quant": quant, "weight_bit_width": bits or self.size(2, 8)}

    def bias(self):
        """Of a layer whose input is a QuantTensor."""
        return self.pick({"bias": False}, {"bias": True, "bias_quant": None}, {"bias": True, "bias_quant": scaled_int.Int8Bias},
                         {"bias": True, "bias_quant": scaled_int.Int16Bias}, {"bias": True, "bias_quant": scaled_int.Int32Bias})

    def act(self, signed=True, bits=None):
        if self.exact:
            kinds = ([fixed_point.Int8ActPerTensorFixedPoint, fixed_point.Int8ActPerTensorFixedPointMinMaxInit] if signed
                     else [fixed_point.Uint8ActPerTensorFixedPoint, fixed_point.Uint8ActPerTensorFixedPointMaxInit])
        else:
            kinds = ([scaled_int.Int8ActPerTensorFloat, shifted_scaled_int.ShiftedUint8ActPerTensorFloat] if signed
                     else [scaled_int.Uint8ActPerTensorFloat])
        quant = self.pick(*kinds)
        more = {"max_val": 3.0} if quant.__name__.endswith("MaxInit") else {}
        if quant.__name__.endswith("MinMaxInit"):
            more["min_val"] = -3.0
        if not self.qcdq and self.flag(0.3) and not quant.__name__.startswith("Shifted"):
            more["float_to_int_impl_type"] = self.pick("FLOOR", "ROUND", "CEIL", "ROUND_TO_ZERO")
        return {"act_quant": quant, "bit_width": bits or self.size(2, 8), **more}

    def opening(self, **more):
        """In front of every network."""
        more = {"bits": self.size(3, 8), **more}
        return qnn.QuantIdentity(**self.act(**more), return_quant_tensor=True)


def tensor(value):
    """Of a QuantTensor, or of a tensor while Brevitas exports."""
    return getattr(value, "value", value)


def padded(d, axes):
    return [d.size(0, 2) for _ in range(axes)]


def closing(d):
    """Nothing, or a quantizer of the output."""
    return [] if d.flag() else [d.pick(lambda: qnn.QuantReLU(**d.act(False)), lambda: qnn.QuantIdentity(**d.act()))()]


def linear(d):
    n, m = d.sizes(2, 2, 9)
    layer = qnn.QuantLinear(n, m, **d.weight(), **d.bias())
    return nn.Sequential(d.opening(), layer, *closing(d)), [d.input(*([3] if d.flag(0.3) else []), n)]


def conv(d):
    axes = d.pick(1, 2, 2, 3)
    groups = d.pick(1, 1, 2)
    c_in, c_out = groups * d.size(1, 3), groups * d.size(1, 3)
    kernel = d.sizes(axes, 1, 3)
    make = {1: qnn.QuantConv1d, 2: qnn.QuantConv2d, 3: qnn.QuantConv3d}[axes]
    layer = make(c_in, c_out, tuple(kernel), stride=tuple(d.sizes(axes, 1, 2)), padding=tuple(padded(d, axes)),
                 dilation=tuple(d.pick(1, 1, 2) for _ in range(axes)), groups=groups, **d.weight(), **d.bias())
    return nn.Sequential(d.opening(), layer, *closing(d)), [d.input(c_in, *d.sizes(axes, 5, 7))]


def conv_transpose(d):
    axes = d.pick(1, 2)
    c_in, c_out = d.sizes(2, 1, 3)
    make = {1: qnn.QuantConvTranspose1d, 2: qnn.QuantConvTranspose2d}[axes]
    stride = d.size(1, 3)
    layer = make(c_in, c_out, d.size(2, 3), stride=stride, padding=d.size(0, 1), output_padding=d.size(0, stride - 1),
                 **d.weight(), **d.bias())
    return nn.Sequential(d.opening(), layer, *closing(d)), [d.input(c_in, *d.sizes(axes, 3, 5))]


def activation(d):
    kinds = [lambda: qnn.QuantReLU(**d.act(False)), lambda: qnn.QuantIdentity(**d.act()), lambda: qnn.QuantHardTanh(**hard_tanh(d))]
    if not d.exact:
        kinds += [lambda: qnn.QuantSigmoid(**d.act(False)), lambda: qnn.QuantTanh(**d.act())]
    made = [d.pick(*kinds)() for _ in range(d.size(1, 3))]
    return nn.Sequential(d.opening(), *made), [d.input(*d.sizes(d.size(1, 3), 2, 6))]


def hard_tanh(d):
    more = d.act()
    more |= {"max_val": 1.0, "min_val": -1.0}
    return more


def pool(d):
    c = d.size(1, 3)
    kind = d.pick("max", "max", "trunc", "trunc", "adaptive", "avg")
    x = d.input(c, *d.sizes(2, 4, 7))
    if kind == "max":
        middle = nn.MaxPool2d(d.size(2, 3), d.size(1, 2), d.size(0, 1), ceil_mode=d.flag(0.3))
    elif kind == "avg":
        middle = nn.AvgPool2d(2, d.size(1, 2))
    else:
        rounding = d.pick(scaled_int.TruncTo8bit, scaled_int.RoundTo8bit, scaled_int.ShiftRoundSaturateTo8bit)
        if d.qcdq:
            rounding = scaled_int.RoundTo8bit
        kernel = d.pick(2, 4, 2)
        middle = (qnn.TruncAvgPool2d(kernel, d.pick(1, 2), trunc_quant=rounding, bit_width=d.size(3, 8), return_quant_tensor=False) if kind == "trunc"
                  else qnn.TruncAdaptiveAvgPool2d(1, trunc_quant=rounding, bit_width=d.size(3, 8), return_quant_tensor=False))
        if kind == "adaptive":
            x = d.input(c, 4, 4)
        return nn.Sequential(d.opening(signed=True, bits=d.size(3, 8)) if d.exact else opening_of_scale(d), middle), [x]
    return nn.Sequential(d.opening(), middle, *closing(d)), [x]


def opening_of_scale(d):
    """Truncation takes no zero point."""
    return qnn.QuantIdentity(act_quant=scaled_int.Int8ActPerTensorFloat, bit_width=d.size(3, 8), return_quant_tensor=True)


class Merge(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.first = d.opening()
        self.kind = d.pick("add", "plain", "cat", "mul")
        self.branch = qnn.QuantReLU(**d.act(False), return_quant_tensor=True)
        self.second = d.opening()
        quant = d.act()
        self.add = qnn.QuantEltwiseAdd(input_quant=quant["act_quant"], output_quant=quant["act_quant"], input_bit_width=quant["bit_width"],
                                       output_bit_width=8, **{f"{side}_{k}": v for side in ("input", "output") for k, v in quant.items()
                                                              if k in ("max_val", "min_val")})
        self.close = nn.Sequential(*closing(d))

    def forward(self, x, z):
        x, z = self.first(x), self.second(z)
        if self.kind == "add":
            return self.close(self.add(x, z))
        x, z = tensor(x), tensor(z)
        if self.kind == "plain":
            return self.close(x + z)
        return self.close(torch.cat([x, z], 1) if self.kind == "cat" else x * z)


def merge(d):
    shape = d.sizes(d.size(1, 3), 2, 4)
    return Merge(d), [d.input(*shape), d.input(*shape)]


def scale_bias(d):
    c = d.size(2, 4)
    kind = d.pick("batch", "after conv", "scale")
    x = d.input(c, *d.sizes(2, 3, 5))
    if kind == "batch":
        return nn.Sequential(d.opening(), nn.BatchNorm2d(c), *closing(d)), [x]
    if kind == "scale":
        return nn.Sequential(d.opening(), qnn.BatchNorm2dToQuantScaleBias(c, **d.weight(8)), *closing(d)), [x]
    conv_ = qnn.QuantConv2d(c, 3, 3, bias=False, **d.weight())
    return nn.Sequential(d.opening(), conv_, nn.BatchNorm2d(3), qnn.QuantReLU(**d.act(False))), [x]


class Network(nn.Module):
    """A small classifier: convolutions, a pool, a residual, dense layers."""

    def __init__(self, d):
        super().__init__()
        c = d.pick(2, 3)
        relu = lambda: qnn.QuantReLU(**d.act(False, d.size(3, 6)), return_quant_tensor=True)
        self.stem = nn.Sequential(d.opening(), qnn.QuantConv2d(2, c, 3, padding=1, **d.weight(), **d.bias()), relu())
        self.body = nn.Sequential(qnn.QuantConv2d(c, c, 3, padding=1, groups=d.pick(1, c), **d.weight(), **d.bias()), relu())
        self.join = qnn.QuantIdentity(**d.act(True, d.size(4, 8)), return_quant_tensor=True)
        self.residual = d.flag()
        self.pool = d.pick(nn.MaxPool2d(2), nn.MaxPool2d(3, 2))
        side = 3 if self.pool.kernel_size == 2 else 2
        self.head = nn.Sequential(nn.Flatten(), qnn.QuantLinear(c * side * side, 6, **d.weight(), bias=d.flag()), relu(),
                                  qnn.QuantLinear(6, 3, **d.weight(), bias=d.flag()))

    def forward(self, x):
        x = self.stem(x)
        y = self.body(x)
        if self.residual:
            y = self.join(tensor(y) + tensor(x))
        return self.head(self.pool(tensor(y)))


def network(d):
    return Network(d), [d.input(2, 6, 6)]


def attention(d):
    heads = d.pick(1, 2)
    width = heads * d.size(2, 3)
    act = scaled_int.Int8ActPerTensorFloat
    layer = qnn.QuantMultiheadAttention(width, heads, batch_first=True, bias=d.flag(), packed_in_proj=d.flag(),
                                        in_proj_input_quant=act, out_proj_input_quant=act, q_scaled_quant=act, k_transposed_quant=act,
                                        v_quant=act, attn_output_weights_quant=scaled_int.Uint8ActPerTensorFloat)

    class Itself(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x):
            return tensor(self.layer(x, x, x, need_weights=False)[0])

    return Itself(), [d.input(d.size(2, 4), width)]


def upsample(d):
    # Brevitas rounds what it interpolates to the input's grid, and its export leaves that out: nearest only.
    middle = qnn.QuantUpsample(scale_factor=d.pick(2, 3), mode="nearest", return_quant_tensor=False)
    return nn.Sequential(d.opening() if d.exact else opening_of_scale(d), middle), [d.input(2, *d.sizes(2, 2, 4))]


KINDS = [linear, conv, activation, network, pool, merge, scale_bias, conv_transpose, linear, conv, network, upsample, attention]


class Ties:
    """Marks samples with a number in front of a quantizer that lies next to a tie."""

    def __init__(self, module):
        self.near = np.zeros(BATCH, bool)
        self.handles = []
        for part in module.modules():
            name = type(part).__name__
            tie = {"RoundSte": 0.5, "FloorSte": 0.0, "CeilSte": 0.0, "RoundToZeroSte": 0.0}.get(name)
            if tie is not None:
                self.handles.append(part.register_forward_pre_hook(lambda _, args, tie=tie: self.look(args[0], tie)))
            elif name.endswith("BinaryQuant"):
                self.handles.append(part.register_forward_pre_hook(lambda _, args: self.look(args[-1], None)))

    def look(self, x, tie):
        if x.dim() == 0 or x.shape[0] != BATCH:
            return
        x = x.detach().double()
        away = x.abs() if tie is None else (x - tie - (x - tie).round()).abs()
        self.near |= (away < NEAR).reshape(BATCH, -1).any(1).numpy()

    def done(self):
        for handle in self.handles:
            handle.remove()
        return self.near


def fill(d, module):
    """Weights and statistics; in exact modules on coarse grids, and variances that are powers of four."""
    with torch.no_grad():
        for part in module.modules():
            for name, value in part.named_parameters(recurse=False):
                if name in ("weight", "bias", "in_proj_weight"):
                    value.copy_(d.numbers(tuple(value.shape)))
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.copy_(d.numbers(tuple(part.running_mean.shape)))
                part.running_var.copy_(d.numbers(tuple(part.running_var.shape)).abs() + 0.5)



def make(number, seed, folder):
    kind = KINDS[number % len(KINDS)]
    rng = np.random.default_rng([seed, number])
    torch.manual_seed(int(rng.integers(1 << 30)))
    d = Choice(rng, exact=bool(number // len(KINDS) % 2) and kind is not attention)
    d.batch = BATCH
    d.qcdq = d.flag(0.2)
    module, xs = kind(d)
    fill(d, module)
    module.train()
    with torch.no_grad():
        for _ in range(3):  # the scales of activations are statistics
            module(*(x + 0.1 * torch.randn_like(x) for x in xs))
    module.eval()
    ties = Ties(module)
    with torch.no_grad():
        y = tensor(module(*xs)).detach()
    near = ties.done()
    if not torch.isfinite(y).all():
        raise ValueError("not finite")
    stem = folder / f"{number:05}_{kind.__name__}"
    export = export_onnx_qcdq if d.qcdq else export_qonnx
    names = [f"x{i}" for i in range(len(xs))]
    export(module, args=tuple(xs), export_path=str(stem.with_suffix(".onnx")), input_names=names, output_names=["y"],
           dynamo=d.flag(0.3), verbose=False)
    arrays = {n: x.numpy() for n, x in zip(names, xs)}
    y = y.numpy()
    changed = False
    if d.qcdq:
        plain = onnxruntime.SessionOptions()  # its fused operators round biases to integers
        plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        runtime = onnxruntime.InferenceSession(str(stem.with_suffix(".onnx")), plain, providers=["CPUExecutionProvider"])
        answer = runtime.run(None, arrays)[0]
        changed = bool((np.abs(answer - y).reshape(BATCH, -1).max(1) > 1e-4 * np.abs(y).max())[~near].any())
        y = answer
    np.savez(stem.with_suffix(".npz"), **{f"x:{n}": x for n, x in arrays.items()}, **{"y:y": y}, near=near)
    return changed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    made, changed, absent = 0, 0, collections.Counter()
    for number in range(options.first, options.first + options.count):
        try:
            changed += make(number, options.seed, options.folder)
            made += 1
        except Exception as error:  # what Brevitas itself cannot make or export
            kind = KINDS[number % len(KINDS)].__name__
            absent[f"{kind}: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:160]}"] += 1
            for path in options.folder.glob(f"{number:05}_*"):
                path.unlink()
    import brevitas

    print(f"{made} modules, Brevitas {brevitas.__version__}, PyTorch {torch.__version__}")
    print(f"{changed} of them compute something else once they are exported as QCDQ")
    for line, count in absent.items():
        print(f"{count} not exported: {line}")


if __name__ == "__main__":
    main()
