"""Operators between functions in plain PyTorch: TNO, ViTNO, FANO and FNO, and Fourier multipliers alone.

The equations head `crates/nn/src/model/operator/*.rs`. Fields are `[batch, rows, columns, channels]` where
maps act at points, and channels first where `rfft2` does.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

LEARNING_RATE = 1e-3


class Spectral(nn.Module):
    """Fourier multipliers on the last two axes: rows from either end, columns from the first."""

    def __init__(self, d_in, d_out, modes):
        super().__init__()
        self.modes = modes
        shape = (2, d_in, d_out, modes, modes, 2)
        self.weight = nn.Parameter(torch.rand(shape) / (d_in * d_out))

    def forward(self, x):
        m, (rows, columns) = self.modes, x.shape[-2:]
        first, second = torch.view_as_complex(self.weight)
        spectrum = torch.fft.rfft2(x)
        out = spectrum.new_zeros(*x.shape[:-3], first.shape[1], rows, columns // 2 + 1)
        out[..., :m, :m] = torch.einsum("...iab,ioab->...oab", spectrum[..., :m, :m], first)
        out[..., -m:, :m] = torch.einsum("...iab,ioab->...oab", spectrum[..., -m:, :m], second)
        return torch.fft.irfft2(out, s=(rows, columns))


def channels_first(module, u):
    return module(u.movedim(-1, -3)).movedim(-3, -1)


def coordinates(side):
    axis = (torch.arange(side) + 0.5) / side
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack((x, y), dim=-1)


class Block(nn.Module):
    """Attention and feed-forward map, each behind a norm of the sum."""

    def __init__(self, attention, d, d_ff):
        super().__init__()
        self.attention = attention
        self.norm_attention, self.norm_feed_forward = nn.LayerNorm(d), nn.LayerNorm(d)
        self.up, self.down = nn.Linear(d, d_ff), nn.Linear(d_ff, d)

    def forward(self, z):
        z = self.norm_attention(z + self.attention(z))
        return self.norm_feed_forward(z + self.down(F.gelu(self.up(z))))


class Continuum(nn.Module):
    """Softmax attention whose keys weigh as much as their part of the domain."""

    def __init__(self, d, n_heads, log_weights):
        super().__init__()
        self.n_heads = n_heads
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.register_buffer("log_weights", log_weights)

    def forward(self, z):
        batch, points, d = z.shape
        q, k, v = self.qkv(z).view(batch, points, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=self.log_weights.to(z.dtype))
        return self.out(mixed.transpose(1, 2).reshape(batch, points, d))


class Tno(nn.Module):
    def __init__(self, row):
        super().__init__()
        t = (torch.arange(row.points) + 0.5) / row.points
        gaps = t.diff()
        weights = (F.pad(gaps, (0, 1)) + F.pad(gaps, (1, 0))) / 2
        log_weights = weights.log().expand(row.points, -1).contiguous()
        self.register_buffer("t", t[:, None])
        self.lift, self.out = nn.Linear(2, row.d), nn.Linear(row.d, 1)
        blocks = (
            Block(Continuum(row.d, row.n_heads, log_weights), row.d, row.d_ff)
            for _ in range(row.n_layers)
        )
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        t = self.t.to(x.dtype).expand(x.shape[0], -1, -1)
        return self.out(self.blocks(self.lift(torch.cat((x, t), dim=-1))))


class PatchAttention(nn.Module):
    """On `[batch, patches, rows, columns, d]`; feature `j h + i` belongs to head `i` of `h`."""

    def __init__(self, row):
        super().__init__()
        self.n_heads, self.share = row.n_heads, 1 / row.side**2
        self.is_convolution = row.model == "fano"
        if self.is_convolution:
            self.maps = nn.ModuleList(Spectral(row.d, row.d, row.modes) for _ in range(3))
        else:
            self.maps = nn.ModuleList(nn.Linear(row.d, row.d) for _ in range(3))
        self.out = nn.Linear(row.d, row.d)

    def forward(self, u):
        batch, patches, rows, columns, d = u.shape

        def heads(module):
            y = channels_first(module, u) if self.is_convolution else module(u)
            return y.reshape(batch, patches, -1, self.n_heads).permute(0, 3, 1, 2)

        q, k, v = map(heads, self.maps)
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.share)
        return self.out(mixed.permute(0, 2, 3, 1).reshape(batch, patches, rows, columns, d))


class Patched(nn.Module):
    def __init__(self, row):
        super().__init__()
        self.patches = row.patches
        self.register_buffer("places", coordinates(row.side))
        is_convolution = row.model == "fano"
        self.lift = nn.Linear(3, row.d) if is_convolution else Spectral(3, row.d, row.modes)
        blocks = (Block(PatchAttention(row), row.d, row.d_ff) for _ in range(row.n_layers))
        self.blocks = nn.Sequential(*blocks)
        self.out = nn.Linear(row.d, 1)
        self.smoothing = None if is_convolution else Spectral(1, 1, row.smoothing)

    def forward(self, x):
        batch, side, n = x.shape[0], x.shape[1], self.patches
        size = side // n
        places = self.places.to(x.dtype).expand(batch, -1, -1, -1)
        u = torch.cat((x, places), dim=-1)
        u = u.view(batch, n, size, n, size, 3).transpose(2, 3).reshape(batch, n * n, size, size, 3)
        u = channels_first(self.lift, u) if isinstance(self.lift, Spectral) else self.lift(u)
        y = self.out(self.blocks(u)).view(batch, n, n, size, size, 1).transpose(2, 3)
        y = y.reshape(batch, side, side, 1)
        return y if self.smoothing is None else y + channels_first(self.smoothing, y)


class Fno(nn.Module):
    def __init__(self, row):
        super().__init__()
        self.register_buffer("places", coordinates(row.side).permute(2, 0, 1))
        d, layers = row.d, range(row.n_layers)
        self.lift = nn.Conv2d(3, d, 1)
        self.multipliers = nn.ModuleList(Spectral(d, d, row.modes) for _ in layers)
        self.skips = nn.ModuleList(nn.Conv2d(d, d, 1) for _ in layers)
        self.hidden, self.out = nn.Conv2d(d, 2 * d, 1), nn.Conv2d(2 * d, 1, 1)

    def forward(self, x):
        places = self.places.to(x.dtype).expand(x.shape[0], -1, -1, -1)
        z = self.lift(torch.cat((x.movedim(-1, 1), places), dim=1))
        for i, (multipliers, skip) in enumerate(zip(self.multipliers, self.skips)):
            z = multipliers(z) + skip(z)
            if i + 1 < len(self.skips):
                z = F.gelu(z)
        return self.out(F.gelu(self.hidden(z))).movedim(1, -1)


def model_and_data(row):
    if row.model == "tno":
        shape = (row.batch, row.points, 1)
        model = Tno(row)
    else:
        shape = (row.batch, row.side, row.side, 1)
        model = Fno(row) if row.model == "fno" else Patched(row)
    return model, torch.randn(shape), torch.randn(shape)


def relative_l2(found, wanted):
    def norm(f):
        return f.flatten(1).square().mean(dim=1).sqrt()

    return (norm(found - wanted) / norm(wanted)).mean()


def iteration(row):
    """A training step; and the parameter count."""
    model, x, target = model_and_data(row)
    adam = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)

    def step():
        adam.zero_grad(set_to_none=True)
        relative_l2(model(x), target).backward()
        adam.step()

    return step, sum(parameter.numel() for parameter in model.parameters())


def spectral(row):
    module = Spectral(row.d, row.d, row.modes)
    x = torch.randn(row.batch, row.d, row.side, row.side, requires_grad=True)
    upstream = torch.randn_like(x)

    def forward_backward():
        torch.autograd.grad(module(x), (x, module.weight), upstream)

    return forward_backward


def check(row):
    """The multipliers as a sum over waves, and one step that lowers the loss."""
    torch.manual_seed(0)
    side, module = 6, Spectral(2, 3, 2).double()
    x = torch.randn(1, 2, side, side, dtype=torch.float64)
    found, expected = module(x), torch.zeros(1, 3, side, side, dtype=torch.float64)
    first, second = torch.view_as_complex(module.weight)
    r = torch.arange(side, dtype=torch.float64)
    for a, f, weight in ((0, 0, first), (1, 1, first), (0, side - 2, second), (1, side - 1, second)):
        for k in range(2):
            turns = (f * r[:, None] + k * r[None, :]) / side
            wave = torch.exp(-2j * math.pi * turns)
            y = torch.einsum("bi,io->bo", (x * wave).sum(dim=(-2, -1)), weight[:, :, a, k])
            part = (y[..., None, None] * wave.conj()).real
            expected += part * (1 if k == 0 else 2) / side**2
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    if row is not None:
        model, x, target = model_and_data(row)
        assert model(x).shape == target.shape, row.name
