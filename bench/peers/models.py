"""The models of the benchmark in PyTorch, in the fastest eager formulations known to us.

`Encoder` is a post-norm softmax encoder without embedding or read-out. `Forecaster` is the
easy-attention forecaster (time-space embedding, attention, ReLU feed-forward, read-out;
Sanchis-Agudo et al., arXiv:2308.12874, as released with arXiv:2304.03571) with a mechanism of
`ATTENTION`, in three formulations:

    einsum, expand  activations [batch, time, d_model]: what one writes first
    time-major      activations [time, batch, d_model]: mixing over time is one matrix product
                    for the whole batch

`LstmForecaster` is PyTorch's LSTM with a linear map of its last row, batch first or time first.

All compute the same function of the same parameters; `pytorch.py --self-check` proves it,
`--variants` times them, and the worker uses the fastest.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from harness import rows


class EncoderLayer(nn.Module):
    """y = LN(x + attention(x)); z = LN(y + W2 gelu(W1 y + b1) + b2), with biases everywhere."""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm_attention = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)

    def forward(self, x):
        batch, time, d_model = x.shape
        qkv = self.qkv(x).view(batch, time, 3, self.n_heads, d_model // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.transpose(1, 2).reshape(batch, time, d_model)
        y = self.norm_attention(x + self.out(mixed))
        return self.norm_feed_forward(y + self.down(F.gelu(self.up(y))))


class Encoder(nn.Module):
    """A stack of `EncoderLayer`; `sdpa` is "flash" (tiled) or "math" (scores in memory)."""

    def __init__(self, d_model, n_heads, n_layers, d_ff, sdpa):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(d_model, n_heads, d_ff) for _ in range(n_layers))
        self.backend = {"flash": SDPBackend.FLASH_ATTENTION, "math": SDPBackend.MATH}[sdpa]

    def forward(self, x):
        with sdpa_kernel(self.backend):
            for layer in self.layers:
                x = layer(x)
        return x


class Easy(nn.Module):
    """[α_i X W_i]_i: form R."""

    def __init__(self, window, d_model, n_heads, layout):
        super().__init__()
        self.mix = MIXES[layout]
        self.alpha = nn.Parameter(torch.empty(n_heads, window, window))
        self.value = nn.Parameter(torch.empty(d_model, d_model))
        nn.init.xavier_uniform_(self.alpha)
        nn.init.xavier_uniform_(self.value)

    def forward(self, x):
        return self.mix(self.alpha, x @ self.value)


class EasyLeft(nn.Module):
    """[α_i (W X)_i]_i: form L; W stands in front of time."""

    def __init__(self, window, d_model, n_heads, layout):
        super().__init__()
        self.mix, self.time_major = MIXES[layout], layout == "time-major"
        self.alpha = nn.Parameter(torch.empty(n_heads, window, window))
        self.value = nn.Parameter(torch.empty(window, window))
        nn.init.xavier_uniform_(self.alpha)
        nn.init.xavier_uniform_(self.value)

    def forward(self, x):
        if self.time_major:
            v = (self.value @ x.reshape(x.shape[0], -1)).view(x.shape)
        else:
            v = self.value @ x
        return self.mix(self.alpha, v)


class Softmax(nn.Module):
    """Multi-head attention with a packed projection and PyTorch's fused kernel."""

    def __init__(self, window, d_model, n_heads, layout):
        super().__init__()
        self.n_heads, self.time_major = n_heads, layout == "time-major"
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x):
        qkv = self.qkv(x).view(*x.shape[:2], 3, self.n_heads, -1)
        order = (2, 1, 3, 0, 4) if self.time_major else (2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*qkv.permute(order).unbind(0))
        mixed = mixed.permute(2, 0, 1, 3) if self.time_major else mixed.transpose(1, 2)
        return self.out(mixed.reshape(x.shape))


class EasyRight(nn.Module):
    """Form right; a subclass makes `scores` out of fewer numbers, or mixes itself."""

    def __init__(self, window, d_model, n_heads, layout):
        super().__init__()
        self.mix = MIXES[layout]
        self.window, self.n_heads = window, n_heads
        self.time_major = layout == "time-major"
        self.stored = nn.Parameter(torch.empty(n_heads, *self.shape()).uniform_(-0.1, 0.1))
        self.value = nn.Parameter(torch.empty(d_model, d_model))
        nn.init.xavier_uniform_(self.value)

    def forward(self, x):
        return self.mixed(x @ self.value)

    def mixed(self, v):
        return self.mix(self.scores(), v)


class Diagonal(EasyRight):
    """One factor per step and head."""

    def shape(self):
        return (self.window,)

    def mixed(self, v):
        factors = self.stored.t().unsqueeze(-1)
        factors = factors.unsqueeze(1 if self.time_major else 0)
        return (v.view(*v.shape[:2], self.n_heads, -1) * factors).reshape(v.shape)


class Table(EasyRight):
    """α with free entries where `free` is true, put in their places in every step."""

    def shape(self):
        lag = torch.arange(self.window).unsqueeze(1) - torch.arange(self.window)
        places = self.free(lag).flatten().nonzero().flatten()
        self.register_buffer("places", places)
        return (len(places),)

    def scores(self):
        p = self.window
        alpha = self.stored.new_zeros(self.n_heads, p * p)
        return alpha.index_copy(1, self.places, self.stored).view(-1, p, p)


class Banded(Table):
    """Up to `OFFSET` steps away."""

    def free(self, lag):
        return lag.abs() <= rows.OFFSET


class Causal(Table):
    """The present and the past."""

    def free(self, lag):
        return lag >= 0


class Toeplitz(EasyRight):
    """α[r, c] = κ[r − c], as overlapping pieces of κ."""

    def shape(self):
        return (2 * self.window - 1,)

    def scores(self):
        # The kernel runs from the lag −(p − 1) up; a row is a piece of it read backwards.
        return self.stored.flip(1).unfold(1, self.window, 1).flip(1)


class LowRank(EasyRight):
    """α = U Vᵀ, never multiplied out."""

    def shape(self):
        return (2 * self.window, rows.RANK)

    def mixed(self, v):
        left, right = self.stored.split(self.window, dim=1)
        return self.mix(left, self.mix(right.transpose(1, 2), v))


class Basis(EasyRight):
    """α = Φ C Φᵀ / p with cosines Φ, which all heads share on the right."""

    def shape(self):
        n, p = rows.N_BASIS, self.window
        at = (torch.arange(p) + 0.5) / p
        functions = math.sqrt(2) * torch.cos(math.pi * at.unsqueeze(1) * torch.arange(n))
        functions[:, 0] = 1.0
        self.register_buffer("functions", functions)
        return (n, n)

    def mixed(self, v):
        left = self.functions @ self.stored / self.window
        return self.mix(left, self.mix(self.functions.t().unsqueeze(0), v))


#: By their names in `harness/rows.py`; each is made of `window, d_model, n_heads, layout`.
ATTENTION = {
    "easy": Easy,
    "easy-left": EasyLeft,
    "softmax": Softmax,
    "easy-diagonal": Diagonal,
    "easy-banded": Banded,
    "easy-causal": Causal,
    "easy-toeplitz": Toeplitz,
    "easy-low-rank": LowRank,
    "easy-basis": Basis,
}


class ForecasterLayer(nn.Module):
    """y = LN(x + attention(x)); z = LN(y + W2 relu(W1 y + b1) + b2)."""

    def __init__(self, attention, d_model, d_ff):
        super().__init__()
        self.attention = attention
        self.norm_attention = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, d_ff)
        self.down = nn.Linear(d_ff, d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)

    def forward(self, x):
        y = self.norm_attention(x + self.attention(x))
        return self.norm_feed_forward(y + self.down(F.relu(self.up(y))))


def mix_einsum(alpha, v):
    """[batch, time, d_model]: per head one product of [p, p] with [p, batch · d_head]."""
    batch, time, d_model = v.shape
    v = v.view(batch, time, alpha.shape[0], -1)
    return torch.einsum("hqk,bkhe->bqhe", alpha, v).reshape(batch, alpha.shape[1], d_model)


def mix_expanded(alpha, v):
    """[batch, time, d_model]: one small product per sample and head, α repeated over the batch."""
    batch, time, d_model = v.shape
    v = v.view(batch, time, alpha.shape[0], -1).transpose(1, 2)
    return (alpha @ v).transpose(1, 2).reshape(batch, alpha.shape[1], d_model)


def mix_time_major(alpha, v):
    """[time, batch, d_model]: one product of [p, p] with [p, batch · d_head] per head."""
    time, batch, d_model = v.shape
    n_heads, time_out, _ = alpha.shape
    v = v.view(time, batch, n_heads, -1).permute(2, 0, 1, 3).reshape(n_heads, time, -1)
    mixed = torch.bmm(alpha, v).view(n_heads, time_out, batch, -1)
    return mixed.permute(1, 2, 0, 3).reshape(time_out, batch, d_model)


MIXES = {"einsum": mix_einsum, "expand": mix_expanded, "time-major": mix_time_major}


class Forecaster(nn.Module):
    """[batch, window, channels] → [batch, 1, channels]."""

    def __init__(self, model, size, layout):
        super().__init__()
        self.time_major = layout == "time-major"
        channels, window, horizon = size.channels, size.window, 1
        d_model, d_ff = size.d_model, size.d_ff
        self.lift = nn.Linear(channels, d_model)
        self.time_weight = nn.Parameter(torch.empty(window, window))
        self.time_bias = nn.Parameter(torch.empty(window))
        self.embed = nn.Linear(d_model, d_model)
        self.layers = nn.ModuleList(
            ForecasterLayer(
                ATTENTION[model](window, d_model, size.n_heads, layout), d_model, d_ff
            )
            for _ in range(size.n_layers)
        )
        self.horizon_weight = nn.Parameter(torch.empty(horizon, window))
        self.horizon_bias = nn.Parameter(torch.zeros(horizon))
        self.read_out = nn.Linear(d_model, channels)
        for linear in (self.lift, self.embed, self.read_out):
            nn.init.xavier_uniform_(linear.weight)
        nn.init.xavier_uniform_(self.time_weight)
        nn.init.xavier_uniform_(self.horizon_weight)
        nn.init.uniform_(self.time_bias, -1 / math.sqrt(window), 1 / math.sqrt(window))
        nn.init.zeros_(self.read_out.bias)

    def forward(self, x):
        if self.time_major:
            x = x.transpose(0, 1)
        x = self.lift(x)
        x = self.mix_time(x, self.time_weight, self.time_bias)
        pairs = x.view(*x.shape[:2], -1, 2)
        even, odd = pairs.unbind(-1)
        x = torch.cat((0.5 * (even + odd), torch.maximum(even, odd)), dim=-1)
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        x = self.mix_time(x, self.horizon_weight, self.horizon_bias)
        x = self.read_out(x)
        return x.transpose(0, 1) if self.time_major else x

    def mix_time(self, x, weight, bias):
        """The 1×1 convolution with time as channels."""
        if not self.time_major:
            return F.conv1d(x, weight.unsqueeze(-1), bias)
        time, batch, d_model = x.shape
        return torch.addmm(bias.unsqueeze(-1), weight, x.reshape(time, -1)).view(-1, batch, d_model)


class LstmForecaster(nn.Module):
    """[batch, window, channels] → [batch, 1, channels]; twice `d_model` wide."""

    def __init__(self, size, layout):
        super().__init__()
        self.time_major = layout == "time-major"
        d_hidden = 2 * size.d_model
        self.lstm = nn.LSTM(
            size.channels, d_hidden, size.n_layers, batch_first=not self.time_major
        )
        self.read_out = nn.Linear(d_hidden, size.channels)

    def forward(self, x):
        rows, _ = self.lstm(x.transpose(0, 1) if self.time_major else x)
        last = rows[-1] if self.time_major else rows[:, -1]
        return self.read_out(last).unsqueeze(1)
