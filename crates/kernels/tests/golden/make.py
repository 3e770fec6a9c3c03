"""Golden numbers for the kernels, by PyTorch in float64: `python make.py` writes beside itself.

Made with PyTorch 2.15.0 and safetensors 0.8, seed 0. Every array is float64. A name such as
`softmax.dq` is the gradient with respect to `q` of the sum of the output times `softmax.g`.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
arrays = {}


def record(name, function, **inputs):
    inputs = {key: x.clone().requires_grad_() for key, x in inputs.items()}
    out = function(**inputs)
    g = torch.randn_like(out)
    (out * g).sum().backward()
    arrays[f"{name}.out"], arrays[f"{name}.g"] = out, g
    for key, x in inputs.items():
        arrays[f"{name}.{key}"], arrays[f"{name}.d{key}"] = x, x.grad


def attention(q, k, v, w):
    mask = w[:, :, None, :] + torch.full((5, 7), -torch.inf).triu(3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=0.4)


record(
    "softmax",
    attention,
    q=torch.randn(2, 3, 5, 11),
    k=torch.randn(2, 3, 7, 11),
    v=torch.randn(2, 3, 7, 13),
    w=torch.randn(2, 3, 7),
)
record(
    "mixing",
    lambda alpha, v: torch.einsum("hts,bhsd->bhtd", alpha, v),
    alpha=torch.randn(3, 5, 7),
    v=torch.randn(2, 3, 7, 11),
)
record(
    "residual_norm",
    lambda x, branch, gamma, beta: F.layer_norm(x + branch, (7,), gamma, beta, 1e-5),
    x=torch.randn(2, 3, 7),
    branch=torch.randn(2, 3, 7),
    gamma=torch.randn(7),
    beta=torch.randn(7),
)
for activation in ("relu", "gelu"):
    record(
        f"affine_{activation}",
        lambda x, w, b: getattr(F, activation)(x @ w + b),
        x=torch.randn(2, 3, 5),
        w=torch.randn(5, 7),
        b=torch.randn(7),
    )
record("pair_pool", lambda x: torch.cat([F.avg_pool1d(x, 2), F.max_pool1d(x, 2)], -1), x=torch.randn(2, 3, 14))
record("mse", lambda p, t: F.mse_loss(p, t).reshape(1), p=torch.randn(2, 3, 5), t=torch.randn(2, 3, 5))



def lstm(x, w_x, w_h, b, h, c):
    """Columns of the weights are the gates i f o g; PyTorch has them as rows i f g o."""
    module = torch.nn.LSTM(3, 7, batch_first=True)

    def gates(columns):
        i, f, o, g = columns.T.chunk(4) if columns.ndim == 2 else columns.chunk(4)
        return torch.cat([i, f, g, o])

    weights = {
        "weight_ih_l0": gates(w_x),
        "weight_hh_l0": gates(w_h),
        "bias_ih_l0": gates(b),
        "bias_hh_l0": torch.zeros(28),
    }
    rows, (_, cell) = torch.func.functional_call(module, weights, (x, (h[None], c[None])))
    return torch.cat([rows, cell[0][:, None]], 1)


record(
    "lstm",
    lstm,
    x=torch.randn(2, 5, 3),
    w_x=torch.randn(3, 28),
    w_h=torch.randn(7, 28) / 7**0.5,
    b=torch.randn(28),
    h=torch.randn(2, 7),
    c=torch.randn(2, 7),
)

save_file({k: x.detach().contiguous() for k, x in arrays.items()}, Path(__file__).with_name("kernels.safetensors"))
