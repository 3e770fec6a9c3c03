"""Exponential-kernel attention in chunks, written plainly in PyTorch: one loop over chunks each way.

The equations are those of `crates/kernels/src/log_linear/mod.rs`: log-values in, log of the mixture out,
maxima per channel, all heads of all sequences in one product. `step` is one token with the state in place.
"""

import torch

CHUNK = 64
NOTHING = -1e30


def cut(x):
    return x.split(CHUNK, dim=2)


def forward(q, k, u):
    """The result, and what going back needs."""
    batch, heads, _, d_k = q.shape
    d_v = u.shape[3]
    a, c = q.new_full((batch, heads, 1, d_k), NOTHING), q.new_full((batch, heads, 1, d_v), NOTHING)
    m, n = q.new_zeros(batch, heads, d_k, d_v), q.new_zeros(batch, heads, 1, d_k)
    rows, kept = [], []
    for q_c, k_c, u_c in zip(cut(q), cut(k), cut(u)):
        a_next = torch.maximum(a, k_c.amax(dim=2, keepdim=True))
        c_next = torch.maximum(c, u_c.amax(dim=2, keepdim=True))
        row, column = (a - a_next).exp(), (c - c_next).exp()
        a, c = a_next, c_next
        m, n = m * row.transpose(2, 3) * column, n * row
        k_hat, v_hat, x = (k_c - a).exp(), (u_c - c).exp(), q_c + a
        q_hat = (x - x.amax(dim=3, keepdim=True)).exp()
        p = (q_hat @ k_hat.transpose(2, 3)).tril_()
        s = q_hat @ m + p @ v_hat
        z = q_hat @ n.transpose(2, 3) + p.sum(dim=3, keepdim=True)
        rows.append(c + s.log() - z.log())
        kept.append((a, c, s, z))
        m, n = m + k_hat.transpose(2, 3) @ v_hat, n + k_hat.sum(dim=2, keepdim=True)
    return torch.cat(rows, dim=2), kept


def backward(q, k, u, kept, g):
    """The gradients of queries, keys and log-values."""
    chunks = list(zip(cut(q), cut(k), cut(u), cut(g), kept))
    batch, heads, _, d_k = q.shape
    d_v = u.shape[3]

    def hats(q_c, k_c, u_c, g_c, a, c, s, z):
        x = q_c + a
        q_hat = (x - x.amax(dim=3, keepdim=True)).exp()
        h = g_c.sum(dim=3, keepdim=True) / z
        return q_hat, (k_c - a).exp(), (u_c - c).exp(), g_c / s, h

    dq, dk, du = [], [], []
    m, n = q.new_zeros(batch, heads, d_k, d_v), q.new_zeros(batch, heads, 1, d_k)
    before = None
    for q_c, k_c, u_c, g_c, (a, c, s, z) in chunks:
        q_hat, k_hat, v_hat, g_hat, h = hats(q_c, k_c, u_c, g_c, a, c, s, z)
        if before is not None:
            row = (before[0] - a).exp()
            m, n = m * row.transpose(2, 3) * (before[1] - c).exp(), n * row
        d = (g_hat @ v_hat.transpose(2, 3) - h).tril_()
        dq.append(q_hat * (g_hat @ m.transpose(2, 3) - h * n + d @ k_hat))
        m, n = m + k_hat.transpose(2, 3) @ v_hat, n + k_hat.sum(dim=2, keepdim=True)
        before = (a, c)
    r, r_n = torch.zeros_like(m), torch.zeros_like(n)
    after = None
    for q_c, k_c, u_c, g_c, (a, c, s, z) in reversed(chunks):
        q_hat, k_hat, v_hat, g_hat, h = hats(q_c, k_c, u_c, g_c, a, c, s, z)
        if after is not None:
            row = (a - after[0]).exp()
            r, r_n = r * row.transpose(2, 3) * (c - after[1]).exp(), r_n * row
        p = (q_hat @ k_hat.transpose(2, 3)).tril_()
        d = (g_hat @ v_hat.transpose(2, 3) - h).tril_()
        dk.append(k_hat * (v_hat @ r.transpose(2, 3) - r_n + d.transpose(2, 3) @ q_hat))
        du.append(v_hat * (k_hat @ r + p.transpose(2, 3) @ g_hat))
        r, r_n = r + q_hat.transpose(2, 3) @ g_hat, r_n + (q_hat * h).sum(dim=2, keepdim=True)
        after = (a, c)
    return (torch.cat(x, dim=2) for x in (dq, dk[::-1], du[::-1]))


class Step:
    """One token after another: maxima, and sums in float64."""

    def __init__(self, heads, d):
        self.a, self.c = torch.full((heads, d), NOTHING), torch.full((heads, d), NOTHING)
        self.m = torch.zeros(heads, d, d, dtype=torch.float64)
        self.n = torch.zeros(heads, d, dtype=torch.float64)

    def __call__(self, q, k, u):
        if (k > self.a).any() or (u > self.c).any():
            a, c = torch.maximum(self.a, k), torch.maximum(self.c, u)
            row, column = (self.a - a).double().exp(), (self.c - c).double().exp()
            self.m.mul_(row[:, :, None]).mul_(column[:, None, :])
            self.n.mul_(row)
            self.a, self.c = a, c
        k_hat, v_hat, x = (k - self.a).exp(), (u - self.c).exp(), q + self.a
        q_hat = (x - x.amax(dim=1, keepdim=True)).exp().double()
        k_hat = k_hat.double()
        self.m.baddbmm_(k_hat[:, :, None], v_hat.double()[:, None, :])
        self.n.add_(k_hat)
        s = (q_hat[:, None, :] @ self.m)[:, 0]
        z = (q_hat * self.n).sum(dim=1, keepdim=True)
        return self.c + (s.log() - z.log()).float()


def iteration(row):
    """A pass of attention in chunks, or one step."""
    if row.task == "step":
        step = Step(row.n_heads, row.d_head)
        tokens = torch.randn(64, 3, row.n_heads, row.d_head)
        place = 0

        def one():
            nonlocal place
            with torch.inference_mode():
                step(*tokens[place % 64])
            place += 1

        return one
    shape = (row.batch, row.n_heads, row.time, row.d_head)
    q, k, u, upstream = (torch.randn(shape) for _ in range(4))

    def run():
        with torch.inference_mode():
            _, kept = forward(q, k, u)
            if row.task == "train":
                list(backward(q, k, u, kept, upstream))

    return run


def check():
    """The chunks, their gradients and the steps against pairs of tokens and autograd, in float64."""
    q, k, u, g = (torch.randn(1, 2, 150, 8, dtype=torch.float64) for _ in range(4))
    for x in (q, k, u):
        x.requires_grad_()
    scores = (q[:, :, :, None] + k[:, :, None]).logsumexp(dim=4)
    later = torch.ones(150, 150, dtype=torch.bool).triu(1)
    scores = scores.masked_fill(later, -torch.inf)
    y = (scores[..., None] + u[:, :, None]).logsumexp(dim=3) - scores.logsumexp(dim=3)[..., None]
    expected = torch.autograd.grad(y, (q, k, u), g)
    with torch.no_grad():
        found, kept = forward(q, k, u)
        torch.testing.assert_close(found, y, rtol=1e-11, atol=1e-11)
        for one, other in zip(backward(q, k, u, kept, g), expected):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
        step = Step(2, 8)
        rows = [step(*(x[0, :, t].float() for x in (q, k, u))) for t in range(150)]
        torch.testing.assert_close(torch.stack(rows, 1), y[0].float(), rtol=2e-6, atol=2e-6)
    print("log attention: chunks, gradients and steps agree with pairs of tokens")
