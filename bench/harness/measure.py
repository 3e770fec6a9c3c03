"""Takes the samples of one row: both workers in turn, in random order, in every round."""

import statistics
import sys
import time
from dataclasses import dataclass, field

from harness.machine import ForeignLoad
from harness.worker import BenchError

#: A sample during which others used more than this share of the machine is taken again.
FOREIGN_LIMIT = 0.05
#: Samples of a row that takes the peer long.
FEW_ROUNDS = 3
#: Pause before a sample, in which the other worker's threads stop spinning and go to sleep.
SETTLE_S = 0.02


@dataclass
class Patience:
    """Seconds left to wait for a quiet machine, shared by the whole run."""

    left_s: float

    def spend(self, seconds):
        self.left_s -= seconds


@dataclass
class Side:
    """One program's samples of one row."""

    iterations: int = 0
    samples_ns: list = field(default_factory=list)
    foreign: list = field(default_factory=list)
    memory_bytes: int | None = None
    described: dict = field(default_factory=dict)

    @property
    def disturbed(self):
        """How many samples were kept although others were using the machine."""
        return sum(1 for share in self.foreign if share is not None and share > FOREIGN_LIMIT)

    @property
    def judgeable(self):
        """Whether at most a quarter of the samples were disturbed, so that quartiles hold."""
        return 4 * self.disturbed <= len(self.samples_ns)


@dataclass
class Measured:
    """One row's outcome; `ours` is `None` where our worker does not have the row."""

    row: object
    ours: Side | None
    peer: Side

    @property
    def ratios(self):
        """The peer's time over ours, round by round; above 1 we are faster."""
        if self.ours is None:
            return []
        return [peer / ours for ours, peer in zip(self.ours.samples_ns, self.peer.samples_ns)]

    @property
    def passes(self):
        """Whether the median ratio reaches the floor; `None` for a row without one.

        A row measured beside other programs passes nothing: they slow the two sides unequally.
        """
        if self.row.floor is None:
            return None
        if self.disturbed or not self.ratios:
            return False
        return statistics.median(self.ratios) >= self.row.floor

    @property
    def disturbed(self):
        return any(side is not None and not side.judgeable for side in (self.ours, self.peer))


def quartiles(values):
    """(q25, median, q75), by linear interpolation between the samples."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    q25, median, q75 = statistics.quantiles(values, n=4, method="inclusive")
    return q25, median, q75


def measure(row, ours, peer, settings, random, patience):
    """Prepares the row in both workers, calibrates, samples, asks for memory, drops it."""
    peer_side = prepare(row, peer)
    if peer_side is None:
        raise BenchError(f"{peer.label} does not have the row {row.name}")
    ours_side = prepare(row, ours)
    sides = [(peer, peer_side)] + ([(ours, ours_side)] if ours_side else [])
    for worker, side in sides:
        side.iterations = calibrate(row, worker, settings.sample_seconds)
    few = getattr(row, "few", False)
    for _ in range(min(settings.rounds, FEW_ROUNDS) if few else settings.rounds):
        random.shuffle(sides)
        for worker, side in sides:
            sample(row, worker, side, patience)
    for worker, side in sides:
        side.memory_bytes = worker.memory(row.name)
        worker.drop(row.name)
    return Measured(row, ours_side, peer_side)


def prepare(row, worker):
    described = worker.prepare(row.name)
    if described is None:
        return None
    said = described.get("params")
    if row.parameters is not None and said is not None and said != row.parameters:
        raise BenchError(
            f"{worker.label} built {row.name} with {said} parameters, expected {row.parameters}: "
            "the two programs would not compute the same model"
        )
    return Side(described=described)


def calibrate(row, worker, sample_seconds):
    """Iterations that take about `sample_seconds`."""
    iterations, target_ns = 1, sample_seconds * 1e9
    while True:
        each_ns = worker.time(row.name, iterations)
        if each_ns * iterations >= 0.25 * target_ns:
            return max(1, round(target_ns / each_ns))
        iterations = max(2 * iterations, int(0.5 * target_ns / max(each_ns, 1)))


def sample(row, worker, side, patience):
    """One sample; taken again while others use the machine and there is patience left."""
    waited = False
    while True:
        time.sleep(SETTLE_S)
        started = time.monotonic()
        load = ForeignLoad([worker.pid])
        each_ns = worker.time(row.name, side.iterations)
        foreign = load.stop()
        if foreign is None or foreign <= FOREIGN_LIMIT or patience.left_s <= 0:
            side.samples_ns.append(each_ns)
            side.foreign.append(foreign)
            return
        if not waited:
            waited = True
            print(
                f"  {row.name}: others use {foreign:.0%} of the machine; waiting "
                f"(at most {patience.left_s:.0f} s more in this run)",
                file=sys.stderr,
            )
        time.sleep(1.0)
        patience.spend(time.monotonic() - started)
