"""What is measured: every row with its shapes, its floor, its parameter count and its arithmetic.

Floating-point operations count a multiply-add as two and a training step as three forward passes;
elementwise work, softmax, normalisation and whatever a backward pass recomputes count nothing. The
causal rows count only the visible half. The same number divides both programs' times.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

FLOOR = 1.5
LSTM_FLOOR = 1.2
LARNN_FLOOR = 10.0
ROLLOUT_FLOOR = 10.0
LOG_FLOOR = 2.0
SPECTRAL_FLOOR = 2.0


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
class Lstm:
    """One LSTM layer on `[batch, time, d_in]`, forward and backward to input and parameters."""

    batch: int
    time: int
    d_in: int
    d_hidden: int
    floor: float = LSTM_FLOOR
    parameters = None

    @property
    def name(self):
        return f"lstm/b{self.batch}t{self.time}i{self.d_in}h{self.d_hidden}"

    @property
    def flops(self):
        step = 4 * self.d_hidden * (self.d_in + self.d_hidden)
        return 3 * 2 * self.batch * self.time * step


@dataclass(frozen=True)
class Larnn:
    """A residual stack of LARNN cells of width `d`, with ELU and batch norm on keys and values.

    `task` is `train` (forward with batch statistics, backward to input and parameters) or `stream`
    (one row of one sequence, with running statistics). `few` is for a row that takes the peer long:
    one iteration to warm up, three samples.
    """

    d: int
    n_heads: int
    window: int
    n_layers: int
    batch: int = 256
    time: int = 128
    task: str = "train"
    few: bool = False
    floor: float = LARNN_FLOOR
    parameters = None

    @property
    def name(self):
        cell = f"d{self.d}h{self.n_heads}k{self.window}L{self.n_layers}"
        train = f"larnn/b{self.batch}t{self.time}{cell}"
        return train if self.task == "train" else f"stream/larnn/{cell}"

    @property
    def flops(self):
        attended = sum(min(t + 1, self.window) for t in range(self.time)) * 2 * self.d
        sequence = self.time * 17 * self.d**2 + attended
        if self.task == "stream":
            return 2 * self.n_layers * (17 * self.d**2 + 2 * self.d * self.window)
        return 3 * 2 * self.n_layers * self.batch * sequence


@dataclass(frozen=True)
class Heads:
    """An attention module, forward and backward to input and parameters, against the plain form.

    `variant` is `softmax`, `batch-norm`, `scaled-heads`, `batch-norm-scaled-heads`, or `sdpa`: softmax
    attention against PyTorch's own kernel. Scaled heads pool before they project, ours does.
    """

    variant: str
    batch: int
    time: int
    d_model: int
    n_heads: int

    @property
    def name(self):
        size = f"b{self.batch}n{self.time}d{self.d_model}h{self.n_heads}"
        return f"heads/{self.variant}/{size}"

    @property
    def floor(self):
        return None if self.variant == "sdpa" else FLOOR

    @property
    def rates(self):
        if not self.variant.endswith("scaled-heads"):
            return [1] * self.n_heads
        return [1, 2] if self.n_heads == 2 else [1 << head // 2 for head in range(self.n_heads)]

    @property
    def parameters(self):
        return 4 * (self.d_model**2 + self.d_model)

    @property
    def flops(self):
        keys = sum(self.time // rate for rate in self.rates)
        d, d_head = self.d_model, self.d_model // self.n_heads
        products = 2 * self.time * d * d + 2 * keys * d_head * (d + self.time)
        return 3 * 2 * self.batch * products


@dataclass(frozen=True)
class Classifier:
    """A training epoch of the recipe `uea/NAME` on series of one length: post-norm blocks, GELU,
    flattened rows, dropout 0.1, cross entropy, clipping at 4, rectified Adam, batches of 16."""

    series: int
    time: int
    channels: int
    classes: int
    d_model: int = 64
    n_heads: int = 8
    n_layers: int = 2
    d_ff: int = 256
    batch: int = 16
    floor: float = FLOOR

    @property
    def name(self):
        return f"uea-epoch/n{self.series}t{self.time}i{self.channels}c{self.classes}"

    @property
    def parameters(self):
        d, f = self.d_model, self.d_ff
        block = 4 * (d * d + d) + 2 * d * f + f + d + 4 * d
        ends = (self.channels + 1) * d + self.time * d + 2 * d
        return ends + self.n_layers * block + (self.time * d + 1) * self.classes

    @property
    def flops(self):
        d, t = self.d_model, self.time
        block = t * (4 * d * d + 2 * d * self.d_ff) + 2 * t * t * d
        products = t * d * (self.channels + self.classes) + self.n_layers * block
        return 3 * 2 * self.series * products


@dataclass(frozen=True)
class LogAttention:
    """Causal exponential-kernel attention on contiguous `[batch, n_heads, time, d_head]`, log-values.

    `peer` is the same in chunks in plain PyTorch, or `sdpa`: causal softmax attention with PyTorch's own
    kernel. `task` is `forward`, `train` (to queries, keys and values) or `step`: one token of a stream.
    The arithmetic is that of chunks of 64 with their triangles in full.
    """

    task: str
    time: int
    peer: str
    batch: int = 1
    n_heads: int = 8
    d_head: int = 64
    parameters = None
    causal = True

    @property
    def name(self):
        if self.task == "step":
            return f"log/step/h{self.n_heads}d{self.d_head}"
        return f"log/{self.task}/n{self.time}/{self.peer}"

    @property
    def train(self):
        return self.task == "train"

    @property
    def few(self):
        return self.time > 4096

    @property
    def floor(self):
        return 1.0 if self.peer == "sdpa" else LOG_FLOOR

    @property
    def flops(self):
        d, tokens = self.d_head, self.batch * self.n_heads * self.time
        if self.task == "step":
            return self.n_heads * 4 * d * d
        forward, backward = 4 * 64 * d + 4 * d * d, 12 * 64 * d + 10 * d * d
        return tokens * (forward + backward if self.train else forward)


def spectral_counts(batch, side, d_in, d_out, modes):
    """Parameters and multiply-adds of Fourier multipliers, transforms as products with few waves."""
    pairs = 2 * modes * modes
    transform = side * side * 2 * modes + 2 * side * modes * 2 * 2 * modes
    return 2 * pairs * d_in * d_out, batch * (4 * pairs * d_in * d_out + transform * (d_in + d_out))


@dataclass(frozen=True)
class Operator:
    """Training step of an operator from one channel to one, relative L2 and Adam.

    `tno` on `points` of a line; `vitno`, `fano` (in `patches²` patches) and `fno` on `side²` points.
    """

    model: str
    batch: int
    d: int = 32
    n_heads: int = 4
    n_layers: int = 4
    d_ff: int = 64
    points: int = 200
    side: int = 64
    patches: int = 8
    modes: int = 4
    smoothing: int = 8
    floor: float = FLOOR

    @property
    def name(self):
        return f"operator/{self.model}"

    @property
    def parameters(self):
        return self._counts[0]

    @property
    def flops(self):
        return 3 * 2 * self._counts[1]

    @property
    def _counts(self):
        d, f, layers = self.d, self.d_ff, self.n_layers
        linear = d * d + d
        feed_forward = 2 * d * f + f + d + 4 * d
        if self.model == "tno":
            tokens = self.batch * self.points
            block = 4 * d * d + 2 * d * f + 2 * self.points * d
            parameters = 3 * d + layers * (4 * linear + feed_forward) + d + 1
            return parameters, tokens * (3 * d + layers * block)
        tokens = self.batch * self.side**2
        if self.model == "fno":
            parameters, products = spectral_counts(self.batch, self.side, d, d, self.modes)
            hidden = 2 * d * d + 2 * d
            parameters = 4 * d + layers * (parameters + linear) + hidden + 2 * d + 1
            ends = 3 * d + 2 * d * d + 2 * d
            return parameters, layers * (products + tokens * d * d) + tokens * ends
        n, size = self.patches**2, self.side // self.patches
        inside, products = spectral_counts(self.batch * n, size, d, d, self.modes)
        seen = 2 * tokens * n * d + tokens * (d * d + 2 * d * f)
        if self.model == "fano":
            parameters = 4 * d + layers * (3 * inside + linear + feed_forward) + d + 1
            return parameters, layers * (3 * products + seen) + tokens * 4 * d
        lift, lift_products = spectral_counts(self.batch * n, size, 3, d, self.modes)
        smooth, smooth_products = spectral_counts(self.batch, self.side, 1, 1, self.smoothing)
        parameters = lift + layers * (4 * linear + feed_forward) + d + 1 + smooth
        ends = lift_products + smooth_products + tokens * d
        return parameters, layers * (3 * tokens * d * d + seen) + ends


@dataclass(frozen=True)
class Spectral:
    """Fourier multipliers over `side²` points, forward and backward to field and multipliers."""

    batch: int
    side: int
    d: int = 32
    modes: int = 12
    floor: float = SPECTRAL_FLOOR
    parameters = None

    @property
    def name(self):
        return f"spectral/b{self.batch}n{self.side}d{self.d}m{self.modes}"

    @property
    def flops(self):
        return 3 * 2 * spectral_counts(self.batch, self.side, self.d, self.d, self.modes)[1]


@dataclass(frozen=True)
class Flow:
    """One step of Kolmogorov flow on `side²` points in f64, against NumPy; one thread in both."""

    side: int
    floor: float = 3.0
    parameters = None

    @property
    def name(self):
        return f"flow/n{self.side}"

    @property
    def flops(self):
        # Ten real transforms, each half of 5 n² log₂ n² of a complex one.
        return 10 * 2.5 * self.side**2 * 2 * (self.side.bit_length() - 1)


@dataclass(frozen=True)
class Size:
    """A forecaster: `channels` in and out, one step from `window` steps."""

    channels: int
    window: int
    d_model: int
    n_heads: int
    n_layers: int
    d_ff: int

    @property
    def name(self):
        return f"p{self.window}d{self.d_model}h{self.n_heads}L{self.n_layers}f{self.d_ff}"


#: Sizes of the kinds of α that have one: band on either side, rank, functions.
OFFSET, RANK, N_BASIS = 4, 4, 8


def scores(entries, products):
    """Form right with `entries(p)` numbers and `products(p, d, h)` multiply-adds of α."""
    return lambda p, d, h: (h * entries(p) + d * d, p * d * d + products(p, d, h))


def table(entries):
    """α whose free entries are multiplied one by one."""
    return scores(entries, lambda p, d, h: entries(p) * d)


#: Parameters and multiply-adds per sequence of one attention layer. A mechanism listed here, in
#: `peers/models.py` and by its name in our registry or in `benches/peer` can have rows.
ATTENTION = {
    "easy": lambda p, d, h: (h * p * p + d * d, p * d * d + p * p * d),
    "easy-left": lambda p, d, h: (h * p * p + p * p, 2 * p * p * d),
    "softmax": lambda p, d, h: (4 * (d * d + d), 4 * p * d * d + 2 * p * p * d),
}
ROLLED_OUT = [*ATTENTION, "lstm"]
ATTENTION |= {
    "easy-diagonal": table(lambda p: p),
    "easy-banded": table(lambda p: p + 2 * sum(p - j for j in range(1, OFFSET + 1))),
    "easy-causal": table(lambda p: p * (p + 1) // 2),
    "easy-toeplitz": scores(lambda p: 2 * p - 1, lambda p, d, h: p * p * d),
    "easy-low-rank": scores(lambda p: 2 * p * RANK, lambda p, d, h: 2 * p * RANK * d),
    "easy-basis": scores(
        lambda p: N_BASIS**2, lambda p, d, h: 2 * p * N_BASIS * d + h * p * N_BASIS**2
    ),
}


@dataclass(frozen=True)
class Forecaster:
    """A forecaster with a mechanism of `ATTENTION`, or with `lstm`: as many layers, `2 d_model` wide.

    `task` is `train` (a step), `infer` (forecasts from a batch) or `rollout` (one step of a
    free-running forecast).
    """

    model: str
    size: Size
    batch: int
    task: str = "train"

    @property
    def name(self):
        name = f"{self.model}/{self.size.name}b{self.batch}"
        return name if self.task == "train" else f"{self.task}/{name}"

    @property
    def floor(self):
        if self.task == "rollout":
            return None if self.model == "lstm" else ROLLOUT_FLOOR
        return LSTM_FLOOR if self.model == "lstm" else FLOOR

    @property
    def parameters(self):
        return self._counts[0]

    @property
    def flops(self):
        return (3 if self.task == "train" else 1) * 2 * self.batch * self._counts[1]

    @property
    def _counts(self):
        n, p, d = self.size.channels, self.size.window, self.size.d_model
        layers, f = self.size.n_layers, self.size.d_ff
        if self.model == "lstm":
            hidden = 2 * d
            widths = [n, *[hidden] * (layers - 1)]
            parameters = sum(4 * hidden * (d_in + hidden + 2) for d_in in widths)
            products = p * sum(4 * hidden * (d_in + hidden) for d_in in widths)
            return parameters + hidden * n + n, products + hidden * n
        parameters, products = ATTENTION[self.model](p, d, self.size.n_heads)
        parameters += 2 * d * f + f + d + 4 * d
        products += 2 * p * d * f
        embedding = (n * d + d) + (p * p + p) + (d * d + d)
        read_out = (p + 1) + (d * n + n)
        ends = p * n * d + p * p * d + p * d * d + p * d + d * n
        return embedding + layers * parameters + read_out, ends + layers * products


RELEASED = Size(channels=2, window=64, d_model=64, n_heads=4, n_layers=4, d_ff=128)
SMALL = Size(channels=3, window=32, d_model=32, n_heads=4, n_layers=2, d_ff=64)

ROWS = [
    *(
        Attention(time, causal, train)
        for train in (False, True)
        for time in (256, 1024, 4096)
        for causal in (False, True)
    ),
    Encoder(batch=16, time=256, d_model=128, n_heads=8, n_layers=4, d_ff=512),
    Encoder(batch=32, time=64, d_model=64, n_heads=4, n_layers=4, d_ff=256),
    Forecaster("easy", RELEASED, 256),
    *(Forecaster(model, SMALL, 128) for model in [*ATTENTION, "lstm"]),
    *(Forecaster(model, SMALL, 256, "infer") for model in [*ATTENTION, "lstm"]),
    *(Forecaster(model, SMALL, 1, "rollout") for model in ROLLED_OUT),
    Lstm(batch=256, time=128, d_in=9, d_hidden=64),
    Larnn(d=32, n_heads=4, window=10, n_layers=2),
    Larnn(d=81, n_heads=27, window=38, n_layers=3, few=True),
    Larnn(d=32, n_heads=4, window=10, n_layers=2, batch=1, time=1, task="stream"),
    *(
        LogAttention(task, time, peer)
        for task in ("forward", "train")
        for time in (256, 1024, 4096, 16384)
        for peer in ("chunked", "sdpa")
    ),
    LogAttention("step", 1, "chunked"),
    *(
        Heads(variant, *size)
        for size in ((16, 315, 512, 8), (4, 1024, 64, 2), (1, 4000, 64, 2))
        for variant in (
            "softmax",
            "batch-norm",
            "scaled-heads",
            "batch-norm-scaled-heads",
            "sdpa",
        )
    ),
    Classifier(series=120, time=315, channels=3, classes=8),
    Operator("tno", 16, d=128, n_heads=8, n_layers=6, d_ff=128),
    Operator("vitno", 4),
    Operator("fano", 4),
    Operator("fno", 8, modes=12),
    Spectral(8, 64),
    Spectral(2, 208),
    Flow(128),
]


def find(name):
    """The row of that exact name, or `None`."""
    return next((row for row in ROWS if row.name == name), None)


def matching(pattern):
    """The rows whose name matches a shell pattern (`*` also crosses `/`)."""
    return [row for row in ROWS if fnmatchcase(row.name, pattern)]
