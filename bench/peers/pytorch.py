"""The PyTorch side of the benchmark: a worker that speaks the protocol of `harness/worker.py`.

Attention is `scaled_dot_product_attention` with its own choice of kernel; a training step is
forward, mean-squared error, backward and fused Adam. `--variants` times the formulations and
optimiser forms that were considered, `--self-check` proves that they compute the same thing.
"""

import argparse
import ctypes
import gc
import json
import os
import re
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import classifier
import flow
import heads
import larnn
import log_attention
import models
import operators
from harness import rows

LEARNING_RATE = 1e-3
WARM_UP_ITERATIONS = 3
WARM_UP_S = 0.5
#: The fastest formulation of each row's model.
LAYOUT = {"softmax": "batch-first", "lstm": "batch-first"}
ADAM_FORM = "fused"


def build(row, compiled=False):
    """Returns (one iteration as a function, parameter count or `None`)."""
    torch.manual_seed(0)
    if isinstance(row, rows.Attention):
        return attention(row), None
    if isinstance(row, rows.Lstm):
        return lstm_layer(row), None
    if isinstance(row, rows.Larnn):
        return larnn.iteration(row), None
    if isinstance(row, rows.Heads):
        return heads.iteration(row)
    if isinstance(row, rows.Classifier):
        return classifier.iteration(row)
    if isinstance(row, rows.LogAttention):
        peer = attention if row.peer == "sdpa" else log_attention.iteration
        return peer(row), None
    if isinstance(row, rows.Operator):
        return operators.iteration(row)
    if isinstance(row, rows.Spectral):
        return operators.spectral(row), None
    if isinstance(row, rows.Flow):
        return flow.iteration(row), None
    model, x, target = model_and_data(row)
    step = iteration(torch.compile(model) if compiled else model, x, target, row, ADAM_FORM)
    return step, sum(parameter.numel() for parameter in model.parameters())


def attention(row):
    shape = (row.batch, row.n_heads, row.time, row.d_head)
    q, k, v, upstream = (torch.randn(shape) for _ in range(4))

    def forward():
        with torch.inference_mode():
            F.scaled_dot_product_attention(q, k, v, is_causal=row.causal)

    def forward_backward():
        o = F.scaled_dot_product_attention(q, k, v, is_causal=row.causal)
        torch.autograd.grad(o, (q, k, v), upstream)

    if not row.train:
        return forward
    for tensor in (q, k, v):
        tensor.requires_grad_()
    return forward_backward


def lstm_layer(row):
    module = torch.nn.LSTM(row.d_in, row.d_hidden, batch_first=True)
    x = torch.randn(row.batch, row.time, row.d_in, requires_grad=True)
    upstream = torch.randn(row.batch, row.time, row.d_hidden)
    leaves = (x, *module.parameters())

    def forward_backward():
        torch.autograd.grad(module(x)[0], leaves, upstream)

    return forward_backward


def inference(model, x):
    def forward():
        with torch.inference_mode():
            model(x)

    return forward


def rollout(model, window):
    """One step of a free-running forecast: the forecast row joins the window."""

    def step():
        nonlocal window
        with torch.inference_mode():
            window = torch.cat((window[:, 1:], model(window)), dim=1)

    return step


def model_and_data(row, sdpa="flash", layout=None):
    if isinstance(row, rows.Encoder):
        model = models.Encoder(row.d_model, row.n_heads, row.n_layers, row.d_ff, sdpa)
        shape = (row.batch, row.time, row.d_model)
        return model, torch.randn(shape), torch.randn(shape)
    layout = layout or LAYOUT.get(row.model, "time-major")
    if row.model == "lstm":
        model = models.LstmForecaster(row.size, layout)
    else:
        model = models.Forecaster(row.model, row.size, layout)
    x = torch.randn(row.batch, row.size.window, row.size.channels)
    return model, x, torch.randn(row.batch, 1, row.size.channels)


def iteration(model, x, target, row, adam_form):
    if not trains(row):
        return {"infer": inference, "rollout": rollout}[row.task](model, x)
    return training_step(model, x, target, row, adam_form)


def trains(row):
    return isinstance(row, rows.Encoder) or row.task == "train"


def training_step(model, x, target, row, adam_form):
    form = {"fused": {"fused": True}, "foreach": {"foreach": True}, "loop": {"foreach": False}}
    eps = 1e-7 if isinstance(row, rows.Forecaster) else 1e-8
    adam = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, eps=eps, **form[adam_form])

    def step():
        adam.zero_grad(set_to_none=True)
        F.mse_loss(model(x), target).backward()
        adam.step()

    return step


def warm_up(step, few=False):
    start, done = time.monotonic(), 0
    iterations = 1 if few else WARM_UP_ITERATIONS
    while done < iterations or time.monotonic() - start < WARM_UP_S:
        step()
        done += 1


def extra_bytes(step):
    """Peak resident memory during one iteration above that before it; `None` off Linux."""
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = status_bytes("VmRSS")
        step()
        return max(0, status_bytes("VmHWM") - before)
    except (OSError, AttributeError):
        return None


def status_bytes(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def serve(answers, compiled):
    """Answers requests until `quit` or the end of the input."""
    prepared = {}

    def answer(text):
        answers.write(text + "\n")
        answers.flush()

    for line in sys.stdin:
        request = line.split()
        if not request:
            continue
        if request[0] == "quit":
            return
        word, name = request[0], request[1]
        if word == "prepare":
            row = rows.find(name)
            if row is None:
                answer(f"unknown {name}")
                continue
            step, parameters = build(row, compiled)
            warm_up(step, getattr(row, "few", False))
            prepared[name] = step
            described = {"flops": row.flops}
            if parameters is not None:
                described["params"] = parameters
            answer(f"ready {name} {json.dumps(described)}")
        elif word == "drop":
            prepared.pop(name, None)
            gc.collect()
        elif name not in prepared:
            answer(f"unknown {name}")
        elif word == "time":
            step, iterations = prepared[name], int(request[2])
            start = time.perf_counter_ns()
            for _ in range(iterations):
                step()
            answer(f"ns {name} {time.perf_counter_ns() - start}")
        elif word == "memory":
            extra = extra_bytes(prepared[name])
            answer(f"unknown {name}" if extra is None else f"bytes {name} {extra}")
        else:
            raise SystemExit(f"unknown request: {line.strip()}")


def about(compiled):
    """What is installed, for the record."""
    config = torch.__config__.show()
    lines = [line.strip(" -") for line in config.splitlines()]
    library = next((line for line in lines if "Math Kernel" in line), None)
    onednn = next((line for line in lines if "MKL-DNN" in line), None)
    blas = re.search(r"BLAS_INFO=(\w+)", config)
    return {
        "torch": torch.__version__,
        "blas": library or (blas.group(1) if blas else "unknown"),
        "onednn": onednn,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "mode": "torch.compile" if compiled else "eager",
        "python": sys.version.split()[0],
    }


def formulations(row):
    """(name, arguments of `model_and_data`) of everything considered for a model row."""
    if isinstance(row, rows.Encoder):
        return [(sdpa, {"sdpa": sdpa}) for sdpa in ("flash", "math")]
    mixed_over_time = row.model not in ("softmax", "lstm")
    layouts = ("einsum", "expand") if mixed_over_time else ("batch-first",)
    return [(layout, {"layout": layout}) for layout in ("time-major", *layouts)]


def model_rows():
    return [row for row in rows.ROWS if isinstance(row, (rows.Encoder, rows.Forecaster))]


def variants():
    """Prints the fastest of five samples for every formulation and every form of Adam."""
    for row in model_rows():
        for name, arguments in formulations(row):
            for form in ("fused", "foreach", "loop") if trains(row) else (None,):
                torch.manual_seed(0)
                step = iteration(*model_and_data(row, **arguments), row, form)
                warm_up(step)
                fastest = float("inf")
                for _ in range(5):
                    start, done = time.perf_counter(), 0
                    while done == 0 or time.perf_counter() - start < 0.2:
                        step()
                        done += 1
                    fastest = min(fastest, (time.perf_counter() - start) / done)
                adam = f"Adam {form}" if form else ""
                print(f"{row.name:33} {name:11} {adam:12} {fastest * 1e3:9.3f} ms", flush=True)


def self_check():
    """Every formulation has the expected size and gives the same output and gradients."""
    log_attention.check()
    for row in rows.ROWS:
        if isinstance(row, rows.Operator):
            operators.check(row)
            print(f"{row.name}: agrees with sums over waves, {row.parameters} parameters")
    for row in model_rows():
        expected = None
        for name, arguments in formulations(row):
            torch.manual_seed(0)
            model, x, target = model_and_data(row, **arguments)
            model, x, target = model.double(), x.double(), target.double()
            count = sum(parameter.numel() for parameter in model.parameters())
            assert count == row.parameters, f"{row.name}: {count} parameters, not {row.parameters}"
            y = model(x)
            assert y.shape == target.shape, f"{row.name}: output {y.shape}, not {target.shape}"
            F.mse_loss(y, target).backward()
            found = [y.detach(), *(parameter.grad for parameter in model.parameters())]
            expected = expected or found
            for one, other in zip(found, expected):
                torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)
            print(f"{row.name}: {name} agrees, {count} parameters")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--about", action="store_true", help="print what is installed")
    parser.add_argument("--variants", action="store_true", help="time what was considered")
    parser.add_argument("--self-check", action="store_true", help="compare what was considered")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.about:
        print(json.dumps(about(arguments.compile)))
    elif arguments.variants:
        variants()
    elif arguments.self_check:
        self_check()
    else:
        # Answers go to the real standard output; whatever a library prints goes to standard error.
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        serve(answers, arguments.compile)


if __name__ == "__main__":
    main()
