"""`bench/run`: builds ours, starts both workers, measures every row, writes the results."""

import argparse
import datetime
import json
import random
import shlex
import subprocess
import sys
from pathlib import Path

from harness import machine, report
from harness.measure import Patience, measure
from harness.rows import FLOOR, ROWS, matching
from harness.worker import BenchError, Worker, build_ours

BENCH = Path(__file__).resolve().parent.parent
PEER = BENCH / "peers" / "pytorch.py"

#: glibc keeps freed blocks instead of returning them to the system after every iteration.
KEEP_FREED_BLOCKS = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967296"
    ":glibc.malloc.trim_threshold=17179869184:glibc.malloc.top_pad=268435456"
}


def parse():
    parser = argparse.ArgumentParser(
        prog="bench/run",
        description="Measures Regard against PyTorch on this machine, interleaved in one run.",
        epilog="Exit codes: 0 done, 1 a floor is not reached (only with --check), 2 failed.",
    )
    parser.add_argument("--rounds", type=positive(int), default=15, help="samples of each program")
    parser.add_argument("--only", default="*", metavar="GLOB", help="measure only matching rows")
    parser.add_argument("--threads", type=positive(int), default=machine.threads_available())
    parser.add_argument("--sample-seconds", type=positive(float), default=0.3, metavar="S")
    parser.add_argument("--seed", type=int, default=0, help="of the order within each round")
    parser.add_argument(
        "--check", action="store_true", help=f"exit 1 if a floor ({FLOOR}) is not reached"
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile the models")
    parser.add_argument(
        "--torch-allocator",
        choices=("installed", "keep"),
        default="installed",
        help="keep: tell glibc to keep the memory PyTorch frees",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=300.0,
        metavar="S",
        help="seconds in all to wait for other programs to leave the machine alone",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="default: bench/results/DATE-MACHINE, for a run of all rows; else nothing is written",
    )
    parser.add_argument("--list", action="store_true", help="list the rows and exit")
    parser.add_argument("--ours-command", help=argparse.SUPPRESS)
    return parser.parse_args()


def positive(kind):
    def convert(text):
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    convert.__name__ = f"positive {kind.__name__}"
    return convert


def main():
    settings = parse()
    rows = matching(settings.only)
    if not rows:
        raise BenchError(f"no row matches {settings.only!r}; `bench/run --list` lists them")
    if settings.list:
        print("\n".join(row.name for row in rows))
        return 0
    ours_command = shlex.split(settings.ours_command) if settings.ours_command else build_ours()
    peer_command = [sys.executable, str(PEER), "--threads", str(settings.threads)]
    peer_command += ["--compile"] if settings.compile else []
    peer = about_peer(peer_command)
    print(
        f"PyTorch {peer['torch']}, BLAS {peer['blas']}, {peer['cpu_capability']}", file=sys.stderr
    )

    measured = run(settings, rows, ours_command, peer_command)
    records = [report.row_record(entry) for entry in measured]
    growth = report.memory_growth(records)
    results = {
        "date": datetime.date.today().isoformat(),
        "machine": machine.describe(),
        "peer": peer,
        "settings": {
            "threads": settings.threads,
            "rounds": settings.rounds,
            "sample_seconds": settings.sample_seconds,
            "seed": settings.seed,
            "precision": "f32",
            "warm_up": "at least 3 iterations and 0.5 s, then the calibration",
            "torch_allocator": settings.torch_allocator,
            "ours": settings.ours_command or "regard-train, bench peer",
            "command": shlex.join(["bench/run", *sys.argv[1:]]),
        },
        "rows": records,
        "memory_growth": growth,
        "below_floor": report.verdict(records, growth),
    }
    print(report.document(results))
    save(settings, rows, results)
    if settings.check and results["below_floor"]:
        return 1
    return 0


def run(settings, rows, ours_command, peer_command):
    """Measures the rows one after the other; only one worker computes at a time."""
    keep = KEEP_FREED_BLOCKS if settings.torch_allocator == "keep" else None
    workers = []
    try:
        ours = Worker("ours", ours_command, settings.threads)
        workers.append(ours)
        peer = Worker("PyTorch", peer_command, settings.threads, keep)
        workers.append(peer)
        shuffle, patience, measured = random.Random(settings.seed), Patience(settings.wait), []
        for count, row in enumerate(rows, start=1):
            print(f"[{count}/{len(rows)}] {row.name}", file=sys.stderr)
            measured.append(measure(row, ours, peer, settings, shuffle, patience))
        return measured
    finally:
        for worker in workers:
            worker.quit()


def about_peer(peer_command):
    """Version, BLAS and instruction set of the installed PyTorch, from a process of its own."""
    done = subprocess.run(
        [*peer_command, "--about"], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchError("PyTorch does not start (see above)")
    return json.loads(done.stdout)


def save(settings, rows, results):
    folder = settings.output
    if folder is None:
        if len(rows) < len(ROWS) or settings.ours_command:
            print("not all rows of ours: nothing written (--output DIR writes)", file=sys.stderr)
            return
        folder = BENCH / "results" / f"{results['date']}-{machine.slug(results['machine'])}"
    try:
        report.write(folder, results)
    except OSError as error:
        raise BenchError(f"cannot write the results to {folder}: {error}") from error
    print(f"wrote {folder / 'results.json'} and results.md", file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"bench/run: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("bench/run: stopped", file=sys.stderr)
        sys.exit(2)
