"""Attention with batch normalisation and scaled heads, written plainly in PyTorch.

The module of `docs/mechanisms/primal-dual.md`: projections, a mean of the keys that is subtracted from
queries and keys, keys and values averaged over windows per head after their projection, scores in memory.
`sdpa` is softmax attention with PyTorch's own kernel.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

BETA = 0.5


class Heads(nn.Module):
    def __init__(self, variant, d_model, n_heads, rates):
        super().__init__()
        self.variant, self.n_heads, self.rates = variant, n_heads, rates
        self.query, self.key, self.value, self.output = (
            nn.Linear(d_model, d_model) for _ in range(4)
        )

    def heads(self, layer, x):
        return layer(x).view(*x.shape[:2], self.n_heads, -1).transpose(1, 2)

    def attend(self, q, k, v):
        if self.variant.startswith("batch-norm"):
            mean = BETA * k.mean(dim=2, keepdim=True)
            q, k = q - mean, k - mean
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=3)
        return weights @ v

    def shortened(self, x, rate):
        """The means of windows of `rate` rows, the incomplete last one dropped."""
        batch, heads, time, d = x.shape
        n = time // rate
        return x[:, :, : n * rate].reshape(batch, heads, n, rate, d).mean(dim=3)

    def forward(self, x):
        q, k, v = (self.heads(layer, x) for layer in (self.query, self.key, self.value))
        if self.variant == "sdpa":
            o = F.scaled_dot_product_attention(q, k, v)
        elif self.variant.endswith("scaled-heads"):
            parts = []
            for rate in sorted(set(self.rates)):
                of = [head for head, other in enumerate(self.rates) if other == rate]
                of = slice(of[0], of[-1] + 1)
                short = [self.shortened(y[:, of], rate) for y in (k, v)] if rate > 1 else None
                parts.append(self.attend(q[:, of], *(short or (k[:, of], v[:, of]))))
            o = torch.cat(parts, dim=1)
        else:
            o = self.attend(q, k, v)
        return self.output(o.transpose(1, 2).reshape(x.shape))


def iteration(row):
    """Forward and backward to the input and all parameters; and the parameter count."""
    model = Heads(row.variant, row.d_model, row.n_heads, row.rates)
    x = torch.randn(row.batch, row.time, row.d_model, requires_grad=True)
    upstream = torch.randn(row.batch, row.time, row.d_model)
    leaves = (x, *model.parameters())

    def forward_backward():
        torch.autograd.grad(model(x), leaves, upstream)

    return forward_backward, sum(parameter.numel() for parameter in model.parameters())
