"""What the numbers were measured on, and who else was using it meanwhile."""

import os
import platform
import re
import subprocess
import time
from pathlib import Path


def threads_available():
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe():
    """The processor, its SIMD instructions, memory, system and the code's commit."""
    model, flags = _cpu()
    simd = sorted(flag for flag in flags if re.match(r"(avx|fma$|amx|asimd|neon|sve|f16c)", flag))
    return {
        "cpu": model,
        "cores": threads_available(),
        "simd": simd,
        "avx2": "avx2" in flags,
        "avx512": "avx512f" in flags,
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "commit": _commit(),
        "rustc": _output("rustc", "--version"),
    }


def slug(machine):
    """A folder name for the processor, with its SIMD level: cloud names hide the generation."""
    level = "avx512" if machine["avx512"] else "avx2" if machine["avx2"] else platform.machine()
    text = f"{machine['cpu']} {level} {machine['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", text.lower().replace("(r)", "").replace("(tm)", "")).strip(
        "-"
    )


class ForeignLoad:
    """Share of the machine's processor time that neither worker nor driver used, 0 to 1.

    Two programs that wait for their threads at barriers suffer unequally from a neighbour, so a
    sample taken beside one compares nothing. Linux only; elsewhere `stop` returns `None`.
    """

    def __init__(self, pids):
        self.pids = [*pids, os.getpid()]
        self.supported = Path("/proc/stat").exists()
        if self.supported:
            self.start_busy, self.start_own = _busy_ticks(), self._own_ticks()
            self.start = time.monotonic()

    def stop(self):
        if not self.supported:
            return None
        elapsed = time.monotonic() - self.start
        own = self._own_ticks() - self.start_own
        foreign = _busy_ticks() - self.start_busy - own
        capacity = elapsed * os.sysconf("SC_CLK_TCK") * (os.cpu_count() or 1)
        return max(0.0, foreign / capacity) if capacity > 0 else 0.0

    def _own_ticks(self):
        return sum(_process_ticks(pid) for pid in self.pids)


def _busy_ticks():
    """Ticks not idle, summed over the cores; includes what a hypervisor took."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return user + nice + system + irq + softirq + steal


def _process_ticks(pid):
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


def _cpu():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        text = cpuinfo.read_text()
        model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
        name = model.group(1).strip() if model else platform.machine()
        return name, set(flags.group(1).split()) if flags else set()
    brand = _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor()
    return brand or platform.machine(), {"neon"} if platform.machine() == "arm64" else set()


def _memory_gib():
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    return round(pages / 2**30, 1)


def _commit():
    commit = _output("git", "rev-parse", "HEAD")
    if not commit:
        return "none"
    changed = _output("git", "status", "--porcelain", "--", ".", ":!bench/results")
    return commit + (" with changes" if changed else "")


def _output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
