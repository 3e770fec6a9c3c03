"""First ten losses of small models under plain gradient descent, in PyTorch and float64.

Run: python first_losses.py        (PyTorch 2.15, float64, CPU; no random numbers are used)

Parameter number k (in the order of the Rust structs), flat element i: 0.3 sin(1 + 0.7 i + 2.1 k).
Input element i: cos(0.3 i); target element i: sin(0.5 i). Step: 0.05, loss: mean squared error.
The numbers printed are copied into tests/first_losses.rs.
"""

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)

BATCH, WINDOW, HORIZON, CHANNELS = 3, 5, 2, 2
D_MODEL, HEADS, D_FF, LAYERS, HIDDEN = 6, 3, 7, 2, 3
RATE, STEPS = 0.05, 10
INCREMENT_STD = torch.tensor([0.5, 2.0])


class Parameters:
    """Hands out leaves in the order of the requests, filled by the rule above."""

    def __init__(self):
        self.leaves = []

    def __call__(self, *shape):
        n = torch.Size(shape).numel()
        values = 0.3 * torch.sin(1 + 0.7 * torch.arange(n) + 2.1 * len(self.leaves))
        self.leaves.append(values.reshape(shape).requires_grad_())
        return self.leaves[-1]

    def affine(self, d_in, d_out):
        return self(d_in, d_out), self(d_out)

    def mixing(self, time_in, time_out):
        return self(time_out, time_in), self(time_out)


def affine(x, layer):
    weight, bias = layer
    return F.linear(x, weight.T, bias)


def time_convolution(x, layer):
    weight, bias = layer
    return F.conv1d(x, weight.unsqueeze(2), bias)  # time steps taken for channels


def forecaster(kind):
    new = Parameters()
    lift, mixing = new.affine(CHANNELS, D_MODEL), new.mixing(WINDOW, WINDOW)
    project = new.affine(D_MODEL, D_MODEL)
    blocks = []
    for _ in range(LAYERS):
        if kind == "softmax":
            attention = [new.affine(D_MODEL, D_MODEL) for _ in range(4)]
        else:
            side = D_MODEL if kind == "right" else WINDOW
            attention = [new(HEADS, WINDOW, WINDOW), new(side, side)]
        norm_1 = new(D_MODEL), new(D_MODEL)
        expand, contract = new.affine(D_MODEL, D_FF), new.affine(D_FF, D_MODEL)
        blocks.append((attention, norm_1, expand, contract, (new(D_MODEL), new(D_MODEL))))
    out_mixing, out_project = new.mixing(WINDOW, HORIZON), new.affine(D_MODEL, CHANNELS)

    def attend(x, attention):
        def split(y):
            return y.reshape(BATCH, WINDOW, HEADS, D_MODEL // HEADS).transpose(1, 2)

        def join(y):
            return y.transpose(1, 2).reshape(BATCH, WINDOW, D_MODEL)

        if kind == "softmax":
            q, k, v = (split(affine(x, layer)) for layer in attention[:3])
            return affine(join(F.scaled_dot_product_attention(q, k, v)), attention[3])
        alpha, value = attention
        v = x @ value if kind == "right" else value @ x
        return join(torch.einsum("hts,bhsd->bhtd", alpha, split(v)))

    def forward(x):
        z = time_convolution(affine(x, lift), mixing)
        z = affine(torch.cat([F.avg_pool1d(z, 2), F.max_pool1d(z, 2)], dim=2), project)
        for attention, norm_1, expand, contract, norm_2 in blocks:
            z = F.layer_norm(z + attend(z, attention), (D_MODEL,), *norm_1, 1e-5)
            fed = affine(F.relu(affine(z, expand)), contract)
            z = F.layer_norm(z + fed, (D_MODEL,), *norm_2, 1e-5)
        return affine(time_convolution(z, out_mixing), out_project)

    return new.leaves, forward


def lstm():
    new = Parameters()
    layers = []
    for layer in range(LAYERS):
        d_in = CHANNELS if layer == 0 else HIDDEN
        layers.append((new(d_in, 4 * HIDDEN), new(HIDDEN, 4 * HIDDEN), new(4 * HIDDEN), new(4 * HIDDEN)))
    output = new.affine(HIDDEN, HORIZON * CHANNELS)
    module = torch.nn.LSTM(CHANNELS, HIDDEN, LAYERS, batch_first=True)

    def gates(x):  # ours are i f o g along the first axis, PyTorch's i f g o
        i, f, o, g = x.chunk(4)
        return torch.cat([i, f, g, o])

    def forward(x):
        weights = {}
        for n, (w_x, w_h, b_x, b_h) in enumerate(layers):
            weights[f"weight_ih_l{n}"], weights[f"weight_hh_l{n}"] = gates(w_x.T), gates(w_h.T)
            weights[f"bias_ih_l{n}"], weights[f"bias_hh_l{n}"] = gates(b_x), gates(b_h)
        rows, _ = torch.func.functional_call(module, weights, (x,))
        return affine(rows[:, -1], output).reshape(BATCH, HORIZON, CHANNELS)

    return new.leaves, forward


def losses(leaves, network, increment):
    x = torch.cos(0.3 * torch.arange(BATCH * WINDOW * CHANNELS)).reshape(BATCH, WINDOW, CHANNELS)
    y = torch.sin(0.5 * torch.arange(BATCH * HORIZON * CHANNELS)).reshape(BATCH, HORIZON, CHANNELS)
    found = []
    for _ in range(STEPS):
        prediction = network(x)
        if increment:
            prediction = x[:, -1:] + INCREMENT_STD * prediction
        loss = F.mse_loss(prediction, y)
        found.append(loss.item())
        gradients = torch.autograd.grad(loss, leaves)
        with torch.no_grad():
            for leaf, gradient in zip(leaves, gradients):
                leaf -= RATE * gradient
    return found


if __name__ == "__main__":
    print("// PyTorch", torch.__version__)
    cases = {
        "EASY_RIGHT": (forecaster("right"), True),
        "EASY_LEFT": (forecaster("left"), False),
        "SOFTMAX": (forecaster("softmax"), True),
        "LSTM": (lstm(), False),
    }
    for name, (model, increment) in cases.items():
        print(f"const {name}: [f64; 10] = [")
        for loss in losses(*model, increment):
            print(f"    {loss!r},")
        print("];")
