"""The classifier of the time-series archives, as `regard presets show uea/NAME` prints it.

Zerveas et al., arXiv:2010.02803, in the form that Flowformer uses: input map times √d, learned positions,
post-norm blocks with GELU, rows flattened behind a norm and GELU, rectified Adam, clipping at 4.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from models import EncoderLayer

DROPOUT, CLIP, LEARNING_RATE = 0.1, 4.0, 1e-3


class Layer(EncoderLayer):
    """A post-norm layer with dropout of what both parts add, and between the feed-forward maps."""

    def forward(self, x):
        batch, time, d_model = x.shape
        qkv = self.qkv(x).view(batch, time, 3, self.n_heads, d_model // self.n_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v)
        mixed = mixed.transpose(1, 2).reshape(batch, time, d_model)
        y = self.norm_attention(x + F.dropout(self.out(mixed), DROPOUT))
        hidden = F.dropout(F.gelu(self.up(y)), DROPOUT)
        return self.norm_feed_forward(y + F.dropout(self.down(hidden), DROPOUT))


class Classifier(nn.Module):
    def __init__(self, row):
        super().__init__()
        d = row.d_model
        self.scale = math.sqrt(d)
        self.input = nn.Linear(row.channels, d)
        self.positions = nn.Parameter(torch.empty(row.time, d).uniform_(-0.02, 0.02))
        self.layers = nn.ModuleList(Layer(d, row.n_heads, row.d_ff) for _ in range(row.n_layers))
        self.norm = nn.LayerNorm(d)
        self.head = nn.Linear(row.time * d, row.classes)

    def forward(self, x):
        h = F.dropout(self.input(x) * self.scale + self.positions, DROPOUT)
        for layer in self.layers:
            h = layer(h)
        return self.head(F.dropout(F.gelu(self.norm(h)), DROPOUT).flatten(1))


def iteration(row):
    """An epoch; and the parameter count."""
    model = Classifier(row)
    x = torch.randn(row.series, row.time, row.channels)
    labels = torch.arange(row.series) % row.classes
    batches = list(zip(x.split(row.batch), labels.split(row.batch), strict=True))
    optimizer = torch.optim.RAdam(model.parameters(), lr=LEARNING_RATE, foreach=True)

    def epoch():
        for series, label in batches:
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(series), label).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP, foreach=True)
            optimizer.step()

    return epoch, sum(parameter.numel() for parameter in model.parameters())
