"""The LARNN cell written plainly in PyTorch: each step projects its whole window and normalises it.

The cell of `docs/mechanisms/larnn.md` in its defaults, without dropout: residual gates, ELU and batch
norm on keys and values, a residual stack of cells with parameters and a window of their own.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Cell(nn.Module):
    """One layer; the state is the hidden row and the list of the last cells, oldest first."""

    def __init__(self, d, n_heads, window):
        super().__init__()
        self.d, self.n_heads, self.window = d, n_heads, window
        self.gates_from_input = nn.Linear(d, 4 * d)
        self.gates_from_hidden = nn.Linear(d, 4 * d, bias=False)
        self.gates_from_attention = nn.Linear(d, 4 * d)
        self.query = nn.Linear(2 * d, d)
        self.key = nn.Linear(d, d)
        self.value = nn.Linear(d, d)
        self.output = nn.Linear(d, d)
        self.norm_key, self.norm_value, self.norm_attention, self.norm_cell, self.norm_hidden = (
            nn.BatchNorm1d(d) for _ in range(5)
        )

    def start(self, x):
        zeros = x.new_zeros(x.shape[0], self.d)
        return zeros, [zeros]

    def heads(self, rows):
        return rows.view(*rows.shape[:-1], self.n_heads, self.d // self.n_heads).transpose(1, 2)

    def attend(self, query, cells):
        memory = torch.stack(cells, dim=1)
        batch, n, d = memory.shape
        flat = memory.reshape(batch * n, d)
        keys = self.norm_key(F.elu(self.key(flat))).view(batch, n, d)
        values = self.norm_value(F.elu(self.value(flat))).view(batch, n, d)
        query = self.heads(query.unsqueeze(1))
        scores = query @ self.heads(keys).transpose(2, 3) / (d // self.n_heads) ** 0.5
        return (scores.softmax(dim=3) @ self.heads(values)).reshape(batch, d)

    def forward(self, x, state):
        hidden, cells = state
        query = F.elu(self.query(torch.cat((x, hidden), dim=1)))
        attention = self.norm_attention(F.elu(self.output(self.attend(query, cells))))
        gates = (
            self.gates_from_input(x)
            + self.gates_from_hidden(hidden)
            + self.gates_from_attention(attention)
        )
        g, f, i, o = gates.chunk(4, dim=1)
        cell = self.norm_cell(g.tanh() * i.sigmoid() + cells[-1] * f.sigmoid())
        hidden = self.norm_hidden(o.sigmoid() * F.elu(cell))
        return hidden, (hidden, [*cells, cell][-self.window :])


class Stack(nn.Module):
    def __init__(self, d, n_heads, window, n_layers):
        super().__init__()
        self.cells = nn.ModuleList(Cell(d, n_heads, window) for _ in range(n_layers))

    def step(self, row, states):
        after = []
        for cell, state in zip(self.cells, states):
            result, state = cell(row, state)
            row = row + result
            after.append(state)
        return row, after

    def forward(self, x):
        states = [cell.start(x[:, 0]) for cell in self.cells]
        rows = []
        for t in range(x.shape[1]):
            row, states = self.step(x[:, t], states)
            rows.append(row)
        return torch.stack(rows, dim=1)


def iteration(row):
    """Forward and backward of a batch, or one step of one sequence."""
    model = Stack(row.d, row.n_heads, row.window, row.n_layers)
    if row.task == "stream":
        return stream(model.eval(), torch.randn(1, row.d), row)
    x = torch.randn(row.batch, row.time, row.d, requires_grad=True)
    upstream = torch.randn(row.batch, row.time, row.d)
    leaves = (x, *model.parameters())

    def forward_backward():
        torch.autograd.grad(model(x), leaves, upstream)

    return forward_backward


def stream(model, x, row):
    states = [cell.start(x) for cell in model.cells]

    def step():
        nonlocal states
        with torch.inference_mode():
            _, states = model.step(x, states)

    return step
