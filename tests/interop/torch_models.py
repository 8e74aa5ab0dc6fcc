# SPDX-License-Identifier: Apache-2.0
"""Random PyTorch modules, exported as programs, with what eager PyTorch answers.

    python tests/interop/torch_models.py FOLDER [--count N] [--seed N] [--first N]

Writes NUMBER_KIND.pt2 and .npz (x:<input>, y:<output>). Every second module stands between fake quantizations whose scales are
powers of two, with weights on a coarse grid: float32 is exact there in any order of additions, so integers must be equal. The
batch is fixed or open (torch.export.Dim); some programs are decomposed to core ATen.
"""

import argparse
import pathlib
import warnings

import numpy as np
import torch
import torch.ao.quantization.fx._decomposed  # noqa: F401 (makes the operators)
import torch.nn.functional as F
from torch import nn


class Draw:
    """The choices of one module; `exact` modules stay on coarse grids."""

    batch = 4

    def __init__(self, rng, exact):
        self.rng, self.exact = rng, exact

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def flag(self, chance=0.5):
        return bool(self.rng.random() < chance)

    def size(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def sizes(self, count, low, high):
        return [self.size(low, high) for _ in range(count)]

    def numbers(self, shape, grid=2):
        """Multiples of 2^-grid up to 2 in magnitude, or any."""
        if self.exact:
            return torch.from_numpy(np.asarray(self.rng.integers(-2 << grid, (2 << grid) + 1, shape) / (1 << grid), np.float32))
        return torch.from_numpy(np.asarray(self.rng.normal(size=shape), np.float32))

    def input(self, *shape):
        """Magnitudes up to 3 on a grid of 1/8 in exact modules; else numbers of Weft's default type, fixed<16,6>."""
        shape = (self.batch, *shape)
        values = self.rng.integers(-24, 25, shape) / 8 if self.exact else np.round(self.rng.normal(size=shape) * 1024) / 1024
        return torch.from_numpy(np.asarray(values, np.float32))

    def fill(self, module):
        """The same for every parameter and statistic."""
        with torch.no_grad():
            for name, value in [*module.named_parameters(), *module.named_buffers()]:
                if not value.is_floating_point():
                    continue
                value.copy_(self.numbers(tuple(value.shape)))
                if name.endswith("running_var"):
                    value.abs_().add_(0.5)
        return module


class Wrapped(nn.Module):
    """A module, or a function of tensors with the modules it needs, between fake quantizations where it is exact."""

    def __init__(self, inner, exact, parts=()):
        super().__init__()
        self.exact = exact
        self.parts = nn.ModuleList(parts)
        if isinstance(inner, nn.Module):
            self.inner = inner
        else:
            self.call = inner

    def forward(self, *xs):
        if self.exact:
            xs = [quantized(x, 0.125) for x in xs]
        y = self.inner(*xs) if hasattr(self, "inner") else self.call(*xs, *self.parts)
        ys = list(y) if isinstance(y, (tuple, list)) else [y]
        if self.exact:
            ys = [quantized(y, 0.5) if y.is_floating_point() else y for y in ys]
        return tuple(ys) if len(ys) > 1 else ys[0]


def quantized(x, scale, low=-128, high=127):
    """As PT2E writes it; `fake_quantized` has the other form, which takes no open batch."""
    codes = torch.ops.quantized_decomposed.quantize_per_tensor(x, scale, 0, low, high, torch.int8)
    return torch.ops.quantized_decomposed.dequantize_per_tensor(codes, scale, 0, low, high, torch.int8)


# --- kinds: (module or function, inputs[, modules the function needs])


def padding(d, kernel, dilation, stride):
    if d.flag(0.25) and all(s == 1 for s in stride):
        return "same"
    return [d.size(0, 2) for _ in kernel]


def conv(d):
    axes = d.pick(1, 2, 2, 3)
    groups = d.pick(1, 1, 1, 2, 3)
    c_in, c_out = groups * d.size(1, 2), groups * d.size(1, 2)
    if d.flag(0.2):
        groups, c_out = c_in, c_in * d.size(1, 2)
    kernel, stride, dilation = d.sizes(axes, 1, 3), d.sizes(axes, 1, 3), [d.pick(1, 1, 2) for _ in range(axes)]
    if d.flag(0.3):
        stride = [1] * axes
    make = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
    mode = d.pick("zeros", "zeros", "zeros", "reflect", "replicate", "circular")
    module = make(c_in, c_out, kernel, stride, padding(d, kernel, dilation, stride), dilation, groups, bias=d.flag(),
                  padding_mode=mode)
    return module, [d.input(c_in, *d.sizes(axes, 5, 8))]


def conv_transpose(d):
    axes = d.pick(1, 2, 2, 3)
    groups = d.pick(1, 1, 2)
    c_in, c_out = groups * d.size(1, 2), groups * d.size(1, 2)
    kernel, stride, dilation = d.sizes(axes, 2, 3), d.sizes(axes, 1, 3), [d.pick(1, 1, 2) for _ in range(axes)]
    pad = [d.size(0, 1) for _ in range(axes)]
    more = [d.size(0, max(s, k) - 1) for s, k in zip(stride, dilation)]
    make = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[axes]
    return (make(c_in, c_out, kernel, stride, pad, more, groups, bias=d.flag(), dilation=dilation),
            [d.input(c_in, *d.sizes(axes, 3, 5))])


def pool(d):
    axes = d.pick(1, 2, 2, 3)
    x = d.input(d.size(1, 3), *d.sizes(axes, 5, 8))
    kind = d.pick("max", "max", "avg", "avg", "adaptive_avg", "adaptive_max", "lp")
    named = lambda name: getattr(nn, f"{name}{axes}d")
    if kind == "adaptive_avg":
        return named("AdaptiveAvgPool")([d.pick(1, 2, 3) for _ in range(axes)]), [x]
    if kind == "adaptive_max":
        return named("AdaptiveMaxPool")([d.pick(1, 2, 3) for _ in range(axes)]), [x]
    kernel, stride = d.sizes(axes, 2, 3), d.sizes(axes, 1, 3)
    if kind == "lp" and not d.exact:
        return named("LPPool")(2.0, kernel if axes > 1 else kernel[0], stride if axes > 1 else stride[0]), [x]
    pad = [d.size(0, 1) for _ in range(axes)]
    if kind == "max":
        dilation = [d.pick(1, 1, 2) for _ in range(axes)]
        return named("MaxPool")(kernel, stride, pad, dilation, ceil_mode=d.flag(0.3)), [x]
    if d.exact:
        kernel = [2] * axes
    more = {"count_include_pad": True if d.exact else d.flag()}
    if axes > 1 and d.flag(0.3):
        more["divisor_override"] = d.pick(2, 4) if d.exact else d.size(1, 5)
    return named("AvgPool")(kernel, stride, pad, ceil_mode=not d.exact and d.flag(0.3), **more), [x]


def norm(d):
    axes = d.pick(1, 2, 3)
    channels = d.pick(2, 4, 6)
    shape = d.sizes(axes, 2, 4)
    x = d.input(channels, *shape)
    kind = d.pick("batch", "batch", "layer", "group", "instance", "rms", "local", "l2", "batch0")
    if kind == "batch":
        return {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[axes](channels, affine=d.flag(0.7)), [x]
    if kind == "batch0":
        return nn.BatchNorm1d(channels), [d.input(channels)]
    if kind == "layer":
        over = [channels, *shape][-d.size(1, axes + 1):]
        return nn.LayerNorm(over, elementwise_affine=d.flag(0.7), bias=d.flag()), [x]
    if kind == "group":
        return nn.GroupNorm(d.pick(1, 2, channels), channels, affine=d.flag(0.7)), [x]
    if kind == "instance":
        make = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[axes]
        return make(channels, affine=d.flag(), track_running_stats=d.flag(0.3)), [x]
    if kind == "rms":
        over = [channels, *shape][-d.size(1, 2):]
        return nn.RMSNorm(over, eps=d.pick(None, 1e-3), elementwise_affine=d.flag()), [x]
    if kind == "local":
        return nn.LocalResponseNorm(d.pick(2, 3), alpha=0.5), [x]
    return (lambda v: F.normalize(v, dim=1, eps=1e-6)), [x]


ACTIVATIONS = [
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Hardshrink, nn.Softshrink, nn.PReLU, nn.RReLU,
    nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Tanhshrink, nn.Softplus,
    nn.Softsign, lambda: nn.GELU("tanh"), lambda: nn.Softplus(2.0, 4.0), lambda: nn.Threshold(0.5, -0.25),
    lambda: nn.ELU(0.5), lambda: nn.CELU(2.0), lambda: nn.Hardtanh(-0.5, 2.0), lambda: nn.LeakyReLU(0.25), lambda: nn.PReLU(3),
]
OVER_AXIS = [nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.GLU]


def activation(d):
    shape = [3, *d.sizes(d.size(0, 3), 2, 5)]
    if d.flag(0.8):
        return d.pick(*ACTIVATIONS)(), [d.input(*shape)]
    axis = d.size(1, len(shape))
    shape[axis - 1] = d.pick(2, 4)
    return d.pick(*OVER_AXIS)(axis if d.flag() else axis - len(shape) - 1), [d.input(*shape)]


def read_later(x):
    """An operator in place, whose operand is read behind it."""
    y = x * 2
    F.relu(y, inplace=True)
    return y + x


FUNCTIONS = {
    "abs": torch.abs, "neg": torch.neg, "floor": torch.floor, "ceil": torch.ceil, "round": torch.round, "trunc": torch.trunc,
    "sign": torch.sign, "square": torch.square, "frac": torch.frac, "exp": torch.exp, "sin": torch.sin, "cos": torch.cos,
    "erf": torch.erf, "clamp": lambda x: torch.clamp(x, -0.5, 1.25), "clamp_min": lambda x: x.clamp(min=-1.0),
    "clip_max": lambda x: torch.clip(x, max=0.75), "pow2": lambda x: x**2, "pow3": lambda x: x**3,
    "sqrt": lambda x: torch.sqrt(x.abs() + 0.5), "rsqrt": lambda x: torch.rsqrt(x * x + 1), "log": lambda x: torch.log(x.abs() + 1),
    "log1p": lambda x: torch.log1p(x.abs()), "log2": lambda x: torch.log2(x.abs() + 1), "expm1": torch.expm1, "exp2": torch.exp2,
    "reciprocal": lambda x: torch.reciprocal(x.abs() + 1), "sigmoid": torch.sigmoid, "tanh": torch.tanh, "atan": torch.atan,
    "sinh": torch.sinh, "cosh": torch.cosh, "asinh": torch.asinh, "rsub": lambda x: 1.5 - x, "over": lambda x: 2.0 / (x.abs() + 1),
    "where": lambda x: torch.where(x > 0.25, x, -0.5 * x), "mask": lambda x: x.masked_fill(x < 0, 0.5),
    "le": lambda x: (x <= 0.5).float() * x, "ne": lambda x: (x != 0.5).float(), "between": lambda x: ((x > -1) & (x < 1)).float(),
    "either": lambda x: ((x < -1) | (x > 1)).float() + x, "lerp": lambda x: torch.lerp(x, -x, 0.25),
    "addcmul": lambda x: torch.addcmul(x, x, x, value=0.5), "nan_to_num": torch.nan_to_num, "logit": lambda x: torch.logit(torch.sigmoid(x)),
    "floor_divide": lambda x: torch.floor_divide(x, 0.5), "remainder": lambda x: torch.remainder(x, 0.75), "fmod": lambda x: torch.fmod(x, 0.75),
    "in_place": lambda x: (x + 0).mul_(2).add_(0.5).clamp_(-1.0, 2.0), "read_later": read_later, "log10": lambda x: torch.log10(x.abs() + 1),
    "erfc": torch.erfc, "modulo": lambda x: x % -0.75, "truncated": lambda x: torch.div(x, 0.75, rounding_mode="trunc"),
    "logit_eps": lambda x: torch.logit(x, eps=0.125), "isnan": lambda x: torch.where(torch.isnan(x), 0.0, x), "sgn": torch.sgn,
}


def function(d):
    names = ("abs", "neg", "floor", "ceil", "round", "trunc", "sign", "square", "frac", "clamp", "clamp_min", "clip_max", "pow2", "rsub", "where",
             "mask", "le", "ne", "between", "either", "lerp", "addcmul", "floor_divide", "remainder",
             "fmod", "modulo", "in_place", "read_later", "isnan", "sgn") if d.exact else tuple(FUNCTIONS)
    return FUNCTIONS[d.pick(*names)], [d.input(*d.sizes(d.size(1, 3), 2, 5))]


def linear(d):
    shape = d.sizes(d.size(0, 2), 2, 3)
    n, m = d.sizes(2, 1, 6)
    kind = d.pick("linear", "linear", "matmul", "both", "bmm", "addmm", "einsum", "bilinear", "mv", "left", "normed")
    if kind == "normed" and not d.exact:
        return nn.utils.parametrizations.weight_norm(nn.Linear(n, m, bias=d.flag())), [d.input(*shape, n)]
    if kind == "linear":
        return nn.Linear(n, m, bias=d.flag()), [d.input(*shape, n)]
    if kind == "matmul":
        w = d.numbers((*shape, n, m) if d.flag() else (n, m))
        return (lambda x, w: x @ w), [d.input(*shape, 3, n)], [Constant(w)]
    if kind == "both":
        return torch.matmul, [d.input(*shape, 3, n), d.input(*shape, n, m)]
    if kind == "bmm":
        return torch.bmm, [d.input(3, n), d.input(n, m)]
    if kind == "addmm":
        return (lambda x, w, b: torch.addmm(b, x, w, beta=0.5, alpha=2.0)), [d.input(n)], [Constant(d.numbers((n, m))), Constant(d.numbers((m,)))]
    if kind == "einsum":
        equation, second = d.pick(("bij,bjk->bik", (n, m)), ("bij,bkj->bki", (m, n)), ("bij,bjk->bk", (n, m)))
        return (lambda x, y: torch.einsum(equation, x, y)), [d.input(3, n), d.input(*second)]
    if kind == "mv":
        return (lambda x, w: x @ w), [d.input(*shape, 3, n)], [Constant(d.numbers((n,)))]
    if kind == "left":
        return (lambda x, w: w @ x), [d.input(n, m)], [Constant(d.numbers((3, n)))]
    return nn.Bilinear(n, m, 2, bias=d.flag()), [d.input(n), d.input(m)]


class Constant(nn.Module):
    """A tensor of the module; `x @ constant` and the like unwrap it."""

    def __init__(self, value):
        super().__init__()
        self.register_buffer("value", value)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        bare = lambda v: v.value if isinstance(v, Constant) else v
        return function(*map(bare, args), **{k: bare(v) for k, v in (kwargs or {}).items()})

    def __matmul__(self, other):
        return self.value @ other


class Attention(nn.Module):
    def __init__(self, d, width, heads):
        super().__init__()
        kinds = {"kdim": width + 1, "vdim": width + 2} if d.flag(0.2) else {}
        self.across = bool(kinds) or d.flag(0.3)
        self.inner = nn.MultiheadAttention(width, heads, bias=d.flag(0.7), batch_first=True, add_zero_attn=False, **kinds)
        self.mask = d.flag(0.3)
        self.weights = d.flag(0.3)

    def forward(self, x, key=None, value=None):
        mask = torch.triu(torch.full((x.shape[1], x.shape[1]), float("-inf")), 1) if self.mask and key is None else None
        y, weights = self.inner(x, x if key is None else key, x if value is None else value, attn_mask=mask,
                                need_weights=self.weights, average_attn_weights=True)
        return (y, weights) if self.weights else y


def attention(d):
    heads = d.pick(1, 2, 3)
    width = heads * d.size(1, 3)
    tokens = d.size(2, 5)
    kind = d.pick("module", "module", "product", "encoder", "manual")
    if kind == "module":
        module = Attention(d, width, heads)
        xs = [d.input(tokens, width)]
        if module.across:
            xs += [d.input(tokens + 1, module.inner.kdim), d.input(tokens + 1, module.inner.vdim)]
        return module, xs
    if kind == "encoder":
        return nn.TransformerEncoderLayer(width, heads, 6, d.pick(0.0, 0.1), activation=d.pick("relu", "gelu"), batch_first=True,
                                          norm_first=d.flag()), [d.input(tokens, width)]
    xs = [d.input(heads, tokens, 3), d.input(heads, tokens, 3), d.input(heads, tokens, 4)]
    if kind == "product":
        more = d.pick({}, {"is_causal": True}, {"scale": 0.25})
        return (lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **more)), xs
    return (lambda q, k, v: torch.softmax(q @ k.transpose(-1, -2) / 2.0, -1) @ v), xs


class Recurrent(nn.Module):
    def __init__(self, inner, take, state):
        super().__init__()
        self.inner, self.take, self.state = inner, take, state

    def forward(self, x, h=None, c=None):
        state = None if h is None else h.transpose(0, 1).contiguous()
        if state is not None and isinstance(self.inner, nn.LSTM):
            state = (state, c.transpose(0, 1).contiguous())
        y, last = self.inner(x) if state is None else self.inner(x, state)
        if self.take == "last":
            return y[:, -1]
        if self.take == "state":
            return (last[0] if isinstance(last, tuple) else last)[-1]
        return y


class State(nn.Module):
    """What a cell makes of its first state, or of zeros."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x, h=None):
        state = None if h is None else (h, h * 0.5) if isinstance(self.inner, nn.LSTMCell) else h
        return self.inner(x, state)


def recurrent(d):
    make = d.pick(nn.LSTM, nn.GRU, nn.RNN)
    n, h = d.sizes(2, 1, 4)
    if d.flag(0.2):
        cell = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}[make]
        more = {"nonlinearity": d.pick("tanh", "relu")} if make is nn.RNN else {}
        return State(cell(n, h, bias=d.flag(0.7), **more)), [d.input(n), *([d.input(h)] if d.flag() else [])]
    more = {"num_layers": d.pick(1, 1, 2), "bias": d.flag(0.7), "bidirectional": d.flag(0.4), "batch_first": True}
    if make is nn.RNN:
        more["nonlinearity"] = d.pick("tanh", "relu")
    if make is nn.LSTM and d.flag(0.2) and h > 1:
        more["proj_size"] = h - 1
    inner = make(n, h, **more)
    xs = [d.input(d.size(2, 5), n)]
    states = more["num_layers"] * (2 if more["bidirectional"] else 1)
    if d.flag(0.2):
        xs.append(d.input(states, more.get("proj_size", h)))
        if make is nn.LSTM:
            xs.append(d.input(states, h))
    return Recurrent(inner, d.pick("all", "all", "last", "state"), len(xs) > 1), xs


MERGES = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum, "minimum": torch.minimum,
    "alpha": lambda a, b: torch.add(a, b, alpha=0.5), "div": lambda a, b: a / (b.abs() + 1), "where": lambda a, b: torch.where(a > b, a, b),
    "eq": lambda a, b: (a == b).float(), "pow": lambda a, b: (a.abs() + 0.5) ** b, "atan2": torch.atan2,
    "addcdiv": lambda a, b: torch.addcdiv(a, a, b.abs() + 1), "iadd": lambda a, b: (a + 0).add_(b), "fmax": torch.fmax,
    "cosine": lambda a, b: torch.cosine_similarity(a, b + 4.0, dim=-1), "distance": lambda a, b: F.pairwise_distance(a, b + 1.0),
}


def merge(d):
    full = d.sizes(d.size(1, 3), 2, 4)
    names = [n for n in MERGES if not d.exact or n not in ("div", "pow", "atan2", "addcdiv", "cosine", "distance")]
    call = MERGES[d.pick(*names)]
    shapes = [[1 if d.flag(0.25) else e for e in full] for _ in range(2)]
    a = d.input(*shapes[0])
    if d.flag(0.6):
        return call, [a, d.input(*shapes[1])]
    shape = shapes[1][d.size(0, len(full)):]
    return (lambda x, c: call(x, c.value)), [a], [Constant(d.numbers(tuple(shape)))]


def shape_but(v):
    return v.movedim(-1, 0).shape[1:]


def assigned(v, places):
    """Part of a tensor overwritten in place."""
    y = v * 1
    y[:, places] = 0.5
    return y


def movement(d):
    rank = d.size(2, 4)
    shape = d.sizes(rank, 2, 5)
    x = d.input(*shape)
    axis = d.size(1, rank)
    n = shape[axis - 1]
    signed = axis if d.flag() else axis - rank - 1
    order = [0, *(int(v) + 1 for v in d.rng.permutation(rank))]
    index = torch.from_numpy(d.rng.integers(0, n, d.size(1, 4)))
    cut = d.size(0, n - 1)
    end = d.pick(None, n, -1 if n - 1 > cut else None)
    step = d.pick(1, 1, 2)
    half = d.size(1, n)
    rows = {
        "permute": lambda v: v.permute(order), "transpose": lambda v: v.transpose(1, signed), "slice": lambda v: v.movedim(axis, 1)[:, cut:end:step],
        "select": lambda v: v.select(signed, cut), "narrow": lambda v: v.narrow(signed, cut, n - cut), "flip": lambda v: v.flip(signed),
        "roll": lambda v: v.roll(cut, signed), "rolls": lambda v: v.roll((1, -1), (1, rank)), "cat": lambda v: torch.cat([v, v.flip(signed), v], signed),
        "stack": lambda v: torch.stack([v, -v], d_axis), "chunk": lambda v: v.chunk(2, signed)[-1], "split": lambda v: v.split(half, signed)[0],
        "unbind": lambda v: v.unbind(signed)[cut], "flatten": lambda v: v.flatten(1), "flatten2": lambda v: v.flatten(2),
        "reshape": lambda v: v.reshape(v.shape[0], -1, shape[-1]), "view": lambda v: v.reshape(-1, *shape[:-2], shape[-2] * shape[-1]),
        "squeeze": lambda v: v.unsqueeze(axis).relu().squeeze(axis), "expand": lambda v: v.unsqueeze(1).expand(-1, 3, *[-1] * rank),
        "repeat": lambda v: v.repeat(1, *[2] * rank), "tile": lambda v: v.tile(2), "interleave": lambda v: v.repeat_interleave(2, signed),
        "index_select": lambda v, i: v.index_select(signed, i.value), "index": lambda v, i: v.movedim(axis, 1)[:, i.value], "gather": lambda v: v[..., [0, -1]],
        "unflatten": lambda v: v.flatten(1).unflatten(1, shape), "pad": lambda v: F.pad(v, (1, 0, 0, 2), value=0.5), "crop": lambda v: F.pad(v, (-1, 1)),
        "t": lambda v: v.mT, "swap": lambda v: v.swapaxes(1, rank), "movedim": lambda v: v.movedim(1, -1), "ellipsis": lambda v: v[..., cut % shape[-1]],
        "new": lambda v: v[:, None, ..., None], "tril": lambda v: v.tril(), "triu": lambda v: v.triu(1), "diff": lambda v: v[:, 1:] - v[:, :-1],
        "unfold": lambda v: v.unfold(signed, half, step), "diagonal": lambda v: v.diagonal(0, 1, 2), "split_by": lambda v: v.tensor_split(2, signed)[0],
        "hstack": lambda v: torch.hstack([v, -v]), "along": lambda v, i: v.movedim(axis, -1).gather(-1, i.value.expand(*shape_but(v), -1)),
        "pairs": lambda v: v[:, [0, -1], [1, 0]], "assign": lambda v: assigned(v, slice(cut, None, step)), "write": lambda v: assigned(v, [0, -1]),
        "scatter": lambda v: torch.slice_scatter(v, -v.narrow(1, 0, 1), 1, 0, 1), "pick_scatter": lambda v: torch.select_scatter(v, v[:, 0] + 1, 1, -1),
        "like": lambda v: v.flatten(1).view_as(v), "grid": lambda v: v + torch.meshgrid(*[torch.arange(float(e)) for e in shape], indexing="ij")[0],
        "rot90": lambda v: v.rot90(1, (1, 2)), "cumsum": lambda v: v.cumsum(signed), "index_neg": lambda v: v[:, [-1, 0]],
    }
    d_axis = d.size(1, rank + 1)
    if rank == 3:
        rows |= {"reflect": lambda v: F.pad(v, (1, 1, 0, 1), "reflect"), "replicate": lambda v: F.pad(v, (2, 0, 1, 1), "replicate"),
                 "circular": lambda v: F.pad(v, (1, 1, 0, 1), "circular")}
    name = d.pick(*rows)
    if name == "along":
        return rows[name], [x], [Constant(index)]
    if rank == 3 and d.flag(0.15):
        name = d.pick("shuffle", "unshuffle", "channels", "unfold")
        if name == "unfold":
            return nn.Unfold([d.size(1, 2), 2], dilation=d.pick(1, 2), padding=d.pick(0, 1), stride=d.pick(1, 2)), [d.input(2, 4, 5)]
        return {"shuffle": nn.PixelShuffle(2), "unshuffle": nn.PixelUnshuffle(2), "channels": nn.ChannelShuffle(4)}[name], [d.input(8, 4, 2)]
    return (rows[name], [x], [Constant(index)]) if name in ("index_select", "index") else (rows[name], [x])


def reduction(d):
    rank = d.size(1, 3)
    shape = d.sizes(rank, 2, 4)
    axes = [a for a in range(1, rank + 1) if d.flag()] or [rank]
    axes = [a if d.flag() else a - rank - 1 for a in axes]
    axis, keep = axes[0], d.flag()
    k = d.size(1, shape[axis - 1 if axis > 0 else axis])
    rows = {
        "sum": lambda v: v.sum(axes, keepdim=keep), "amax": lambda v: v.amax(axes, keepdim=keep), "amin": lambda v: v.amin(axes, keepdim=keep),
        "max": lambda v: v.max(axis, keepdim=keep).values, "min": lambda v: v.min(axis, keepdim=keep).values,
        "argmax": lambda v: v.argmax(axis, keepdim=keep), "argmin": lambda v: v.argmin(axis, keepdim=keep),
        "topk": lambda v: v.topk(k, axis).values, "smallest": lambda v: v.topk(k, axis, largest=False).values,
        "positions": lambda v: v.topk(k, axis).indices, "sort": lambda v: v.sort(axis).values, "indices": lambda v: v.max(axis, keepdim=keep).indices,
        "count": lambda v: (v > 0.5).sum(axis), "aminmax": lambda v: v.aminmax(dim=axis, keepdim=keep).max, "any": lambda v: (v > 1).any(axis).float(),
        "all": lambda v: (v > -1).all(axis).float(), "descending": lambda v: v.sort(axis, descending=True).values,
        "argsort": lambda v: v.argsort(axis), "hot": lambda v: F.one_hot(v.argmax(axis), shape[axis - 1 if axis > 0 else axis]).float(),
    }
    if not d.exact:
        rows |= {"mean": lambda v: v.mean(axes, keepdim=keep), "var": lambda v: v.var(axes, correction=d_correction, keepdim=keep),
                 "std": lambda v: v.std(axes, keepdim=keep), "prod": lambda v: v.prod(axis, keepdim=keep), "norm": lambda v: torch.linalg.vector_norm(v, 2, axes, keepdim=keep),
                 "l1": lambda v: torch.linalg.vector_norm(v, 1, axes, keepdim=keep), "logsumexp": lambda v: v.logsumexp(axes, keepdim=keep),
                 "median": lambda v: v.median(axis, keepdim=keep).values,
                 "var_mean": lambda v: sum(torch.var_mean(v, axes, keepdim=keep)), "std_mean": lambda v: torch.std_mean(v, axes, keepdim=keep)}
    d_correction = d.pick(0, 1)
    x = d.input(*shape)
    name = d.pick(*rows)
    if name in ("positions", "argmax", "argmin", "indices", "argsort", "hot"):  # equal elements have no order in PyTorch
        x = torch.from_numpy(d.rng.permuted(np.arange(x.numel()).reshape(x.shape), axis=axis).astype(np.float32)) / 8 - 3
    return rows[name], [x]


def resize(d):
    axes = d.pick(1, 2, 2, 3)
    x = d.input(2, *d.sizes(axes, 3, 5))
    mode = d.pick("nearest", "nearest-exact", "smooth", "smooth", "bicubic") if not d.exact else d.pick("nearest", "nearest-exact")
    if mode == "bicubic" and axes != 2:
        mode = "smooth"
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[axes] if mode == "smooth" else mode
    more = {"align_corners": d.flag()} if "linear" in mode or mode == "bicubic" else {}
    if d.flag(0.3):
        return (lambda v: F.interpolate(v, size=sizes, mode=mode, **more)), [x] if (sizes := d.sizes(axes, 2, 8)) else []
    factor = [d.pick(2.0, 2.0, 3.0, 1.5, 0.5) for _ in range(axes)]
    return nn.Upsample(scale_factor=tuple(factor), mode=mode, **more), [x]


class Residual(nn.Module):
    def __init__(self, d, c):
        super().__init__()
        self.exact = d.exact
        self.body = nn.Sequential(nn.Conv2d(c, c, 3, padding=1, groups=d.pick(1, c)), *([] if d.exact else [nn.BatchNorm2d(c)]), nn.ReLU(inplace=d.flag()),
                                  nn.Conv2d(c, c, 1))

    def forward(self, x):
        y = self.body(x)
        y = quantized(y, 0.25) if self.exact else y
        y += x
        return y


class Network(nn.Module):
    """Convolutions, a residual, a pool and dense layers; quantized between in exact modules."""

    def __init__(self, d):
        super().__init__()
        c = d.pick(2, 4)
        self.exact = d.exact
        self.stem = nn.Sequential(nn.Conv2d(2, c, 3, stride=d.pick(1, 2), padding=d.pick(0, 1)), *([] if d.exact else [nn.BatchNorm2d(c)]),
                                  d.pick(nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(0.25), nn.Hardtanh(inplace=True)))
        self.body = nn.ModuleList(Residual(d, c) for _ in range(d.pick(0, 1, 2)))
        self.pool = d.pick(nn.MaxPool2d(2), nn.AdaptiveMaxPool2d(1), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(2 if d.exact else 1))
        self.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 3))

    def forward(self, x):
        x = self.stem(x)
        x = quantized(x, 0.25) if self.exact else x
        for part in self.body:
            x = part(x)
            x = quantized(x, 0.25, -64, 63) if self.exact else x
        x = self.pool(x)
        if not self.exact:
            return self.head(x)
        x = quantized(self.head[2](self.head[1](self.head[0](quantized(x, 0.25)))), 0.5)
        return self.head[4](self.head[3](x))


def network(d):
    return Network(d), [d.input(2, 8, 8)]


class FakeQuantized(nn.Module):
    """Weights and activations through PyTorch's own fake quantization: per tensor or channel, any zero point and range."""

    def __init__(self, d):
        super().__init__()
        c = 3
        self.layer = d.pick(nn.Conv2d(2, c, 3), nn.Linear(4, c), nn.Conv1d(2, c, 2, stride=2))
        self.relu = d.flag()
        bits = d.pick(2, 3, 4, 8)
        self.range = d.pick((-(1 << bits - 1), (1 << bits - 1) - 1), (0, (1 << bits) - 1))
        power = lambda: 2.0 ** d.size(-4, -1)
        self.scales = nn.Buffer(torch.tensor([power() for _ in range(c)]))
        self.zeros = nn.Buffer(torch.zeros(c, dtype=torch.int32))
        self.per_channel = d.flag()
        self.bare = d.flag(0.3)
        self.scale = power()
        self.zero = int(d.rng.integers(*self.range)) if d.flag() else 0
        self.x_scale = power()

    def forward(self, x):
        x = torch.fake_quantize_per_tensor_affine(x, self.x_scale, 0, -32, 31)
        w = self.layer.weight
        w = (torch.fake_quantize_per_channel_affine(w, self.scales, self.zeros, 0, -8, 7) if self.per_channel
             else torch.fake_quantize_per_tensor_affine(w, 0.25, 0, -8, 7))
        y = torch.func.functional_call(self.layer, {"weight": w}, (x,))
        y = torch.relu(y) if self.relu else y
        return y.flatten(1) if self.bare else torch.fake_quantize_per_tensor_affine(y, self.scale, self.zero, *self.range)


def fake_quantized(d):
    d.exact = True
    module = FakeQuantized(d)
    shape = {nn.Conv2d: (2, 5, 4), nn.Linear: (4,), nn.Conv1d: (2, 7)}[type(module.layer)]
    return module, [d.input(*shape)]


KINDS = [conv, conv_transpose, pool, norm, activation, function, linear, attention, recurrent, merge, movement, reduction, resize, network,
         fake_quantized]
FLOAT_ONLY = {norm, attention, recurrent}


def make(number, seed):
    """(kind, program, inputs, outputs) or the reason why there is none."""
    kind = KINDS[number % len(KINDS)]
    rng = np.random.default_rng([seed, number])
    torch.manual_seed(int(rng.integers(1 << 30)))
    d = Draw(rng, exact=bool(number // len(KINDS) % 2) and kind not in FLOAT_ONLY)
    for _ in range(20):
        inner, xs, *parts = kind(d)
        module = Wrapped(inner, d.exact, *parts) if kind is not fake_quantized else inner
        module.eval()
        try:
            with torch.no_grad():
                module(*xs)  # lazy layers; PyTorch refuses some combinations
        except (RuntimeError, ValueError, IndexError):
            continue
        if kind is not fake_quantized:
            filled = [p for p in module.modules() if not isinstance(p, (Wrapped, Constant))]
            for part in filled:
                d.fill(part) if not any(True for _ in part.children()) else None
        else:
            d.fill(module.layer)
        with torch.no_grad():
            y = module(*xs)
        ys = list(y) if isinstance(y, tuple) else [y]
        if all(v.numel() and torch.isfinite(v.float()).all() for v in ys):
            break
    else:
        return kind.__name__, None, None, None
    open_batch = d.flag(0.4) and kind is not fake_quantized
    shapes = tuple({0: torch.export.Dim("batch", min=2, max=4096)} for _ in xs) if open_batch else None
    names = (shapes,) if shapes else None  # `forward` takes all of them as *xs
    with torch.no_grad():
        program = torch.export.export(module, tuple(xs), dynamic_shapes=names, strict=False)
        if d.flag(0.3):
            program = program.run_decompositions()
    return kind.__name__, program, xs, ys


def save(program, xs, ys, stem):
    torch.export.save(program, stem.with_suffix(".pt2"))
    signature = program.graph_signature
    inputs = {f"x:{name}": x.numpy() for name, x in zip(signature.user_inputs, xs)}
    outputs = {f"y:{name}": y.numpy() for name, y in zip(signature.user_outputs, ys)}
    np.savez(stem.with_suffix(".npz"), **inputs, **outputs)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    made, absent = 0, []
    for number in range(options.first, options.first + options.count):
        try:
            kind, program, xs, ys = make(number, options.seed)
        except Exception as error:  # what torch.export itself cannot do
            absent.append(f"{number}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
            continue
        if program is None:
            absent.append(f"{number}: PyTorch refuses {kind}")
            continue
        save(program, xs, ys, options.folder / f"{number:05}_{kind}")
        made += 1
    print(f"{made} modules, PyTorch {torch.__version__}")
    for line in absent:
        print(f"no program for {line}")


if __name__ == "__main__":
    main()
