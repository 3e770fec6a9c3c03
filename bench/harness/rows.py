"""What is measured: every row with its shapes, its floor, its parameter count and its arithmetic.

Floating-point operations count a multiply-add as two and a training step as three forward passes;
elementwise work, softmax, normalisation and whatever a backward pass recomputes count nothing. The
causal rows count only the visible half. The same number divides both programs' times.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

FLOOR = 1.5


@dataclass(frozen=True)
class Attention:
    """Scaled-dot-product attention on contiguous `[batch, n_heads, time, d_head]`."""

    time: int
    causal: bool
    train: bool
    batch: int = 1
    n_heads: int = 8
    d_head: int = 64

    @property
    def name(self):
        task = "train" if self.train else "forward"
        return f"attention/{task}/n{self.time}/{'causal' if self.causal else 'full'}"

    @property
    def floor(self):
        return FLOOR if self.time >= 1024 else None

    @property
    def parameters(self):
        return None

    @property
    def flops(self):
        pairs = self.time * (self.time + 1) // 2 if self.causal else self.time**2
        forward = 4 * self.batch * self.n_heads * self.d_head * pairs
        return 3 * forward if self.train else forward

    @property
    def output_bytes(self):
        return 4 * self.batch * self.n_heads * self.time * self.d_head


@dataclass(frozen=True)
class Encoder:
    """Training step of a post-norm softmax encoder on `[batch, time, d_model]`."""

    batch: int
    time: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int
    floor: float = FLOOR

    @property
    def name(self):
        return f"encoder/{self.batch}x{self.time}x{self.d_model}"

    @property
    def parameters(self):
        d, f = self.d_model, self.d_ff
        return self.n_layers * (4 * (d * d + d) + 2 * d * f + f + d + 4 * d)

    @property
    def flops(self):
        d, tokens = self.d_model, self.batch * self.time
        products = tokens * (4 * d * d + 2 * d * self.d_ff) + 2 * tokens * self.time * d
        return 3 * 2 * self.n_layers * products


@dataclass(frozen=True)
class Easy:
    """Training step of the easy-attention forecaster, form R, on `[batch, window, channels]`."""

    channels: int
    window: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int
    batch: int
    horizon: int = 1
    floor: float = FLOOR

    @property
    def name(self):
        return (
            f"easy/p{self.window}d{self.d_model}h{self.n_heads}"
            f"L{self.n_layers}f{self.d_ff}b{self.batch}"
        )

    @property
    def parameters(self):
        n, p, q, d, f = self.channels, self.window, self.horizon, self.d_model, self.d_ff
        embedding = (n * d + d) + (p * p + p) + (d * d + d)
        layer = self.n_heads * p * p + d * d + 2 * d * f + f + d + 4 * d
        return embedding + self.n_layers * layer + (p * q + q) + (d * n + n)

    @property
    def flops(self):
        n, p, q, d = self.channels, self.window, self.horizon, self.d_model
        embedding = p * n * d + p * p * d + p * d * d
        layer = p * d * d + p * p * d + 2 * p * d * self.d_ff
        return 3 * 2 * self.batch * (embedding + self.n_layers * layer + p * q * d + q * d * n)


ROWS = [
    *(
        Attention(time, causal, train)
        for train in (False, True)
        for time in (256, 1024, 4096)
        for causal in (False, True)
    ),
    Encoder(batch=16, time=256, d_model=128, n_heads=8, n_layers=4, d_ff=512),
    Encoder(batch=32, time=64, d_model=64, n_heads=4, n_layers=4, d_ff=256),
    Easy(channels=2, window=64, d_model=64, n_heads=4, n_layers=4, d_ff=128, batch=256),
    Easy(channels=3, window=32, d_model=32, n_heads=4, n_layers=2, d_ff=64, batch=128),
]


def find(name):
    """The row of that exact name, or `None`."""
    return next((row for row in ROWS if row.name == name), None)


def matching(pattern):
    """The rows whose name matches a shell pattern (`*` also crosses `/`)."""
    return [row for row in ROWS if fnmatchcase(row.name, pattern)]
