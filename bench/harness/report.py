"""The tables and files of a run: times, ratios, rates, memory, and what repeats it."""

import json
import statistics

from harness.measure import quartiles
from harness.rows import Attention


def row_record(measured):
    """One row as it stands in `results.json`; times in seconds."""
    row = measured.row
    record = {
        "row": row.name,
        "floor": row.floor,
        "passes": measured.passes,
        "disturbed": measured.disturbed,
        "flops": row.flops,
        "parameters": row.parameters,
        "ratio": _spread(measured.ratios) if measured.ratios else None,
    }
    for label, side in (("ours", measured.ours), ("pytorch", measured.peer)):
        if side is None:
            record[label] = None
            continue
        seconds = [sample / 1e9 for sample in side.samples_ns]
        record[label] = {
            "seconds": _spread(seconds),
            "gflop_per_s": row.flops / statistics.median(seconds) / 1e9,
            "extra_bytes": side.memory_bytes,
            "iterations_per_sample": side.iterations,
            "samples": seconds,
            "disturbed_samples": side.disturbed,
            "described": side.described,
        }
    return record


def memory_growth(records):
    """Extra memory of attention from n 1024 to n 4096: linear is a factor of 4, quadratic of 16.

    The smaller figure is taken as at least the size of the output, as an allocator that keeps freed
    pages can hide a little of it. At most 6 counts as linear.
    """
    by_name = {record["row"]: record for record in records}
    growth = []
    for train in (False, True):
        for causal in (False, True):
            short, long = (Attention(time, causal, train) for time in (1024, 4096))
            for label in ("ours", "pytorch"):
                small = _extra_bytes(by_name.get(short.name), label)
                large = _extra_bytes(by_name.get(long.name), label)
                if small is None or large is None:
                    continue
                factor = large / max(small, short.output_bytes)
                name = long.name.replace("/n4096", "")
                growth.append(
                    {"rows": name, "program": label, "factor": factor, "linear": factor <= 6.0}
                )
    return growth


def verdict(records, growth):
    """The sentences that say what does not reach its floor; empty if everything does."""
    below = []
    for record in records:
        if record["passes"] is False:
            found = f"{record['ratio']['median']:.2f}" if record["ratio"] else "not measured"
            reason = ", but other programs used the machine" if record["disturbed"] else ""
            below.append(f"{record['row']}: ratio {found}{reason}, floor {record['floor']}")
    for entry in growth:
        if entry["program"] == "ours" and not entry["linear"]:
            below.append(
                f"{entry['rows']}: extra memory grows {entry['factor']:.1f}-fold from n 1024 to "
                "n 4096, at most 6 is linear"
            )
    return below


def table(records):
    """The main table as Markdown."""
    head = ["row", "ours ms (q25–q75)", "PyTorch ms (q25–q75)", "PyTorch / ours (q25–q75)", "floor"]
    head += ["GFLOP/s ours", "PyTorch", "extra MiB ours", "PyTorch"]
    lines = [head]
    for record in records:
        ours, peer, ratio = record["ours"], record["pytorch"], record["ratio"]
        mark = {True: " ok", False: " BELOW", None: ""}[record["passes"]]
        if record["disturbed"] and mark:
            mark = " ?"
        lines.append(
            [
                record["row"] + (" !" if record["disturbed"] else ""),
                _milliseconds(ours),
                _milliseconds(peer),
                _ratio(ratio),
                "–" if record["floor"] is None else f"{record['floor']:.1f}{mark}",
                f"{ours['gflop_per_s']:.1f}" if ours else "–",
                f"{peer['gflop_per_s']:.1f}",
                _mebibytes(ours),
                _mebibytes(peer),
            ]
        )
    return _markdown(lines)


def document(results):
    """`results.md`: the settings, the table, and the verdict."""
    machine, settings, peer = results["machine"], results["settings"], results["peer"]
    lines = [
        f"# Regard against PyTorch, {results['date']}",
        "",
        f"- processor: {machine['cpu']}, {machine['cores']} cores; {' '.join(machine['simd'])}",
        f"- memory: {machine['memory_gib']} GiB; system: {machine['system']}",
        f"- commit: {machine['commit']}; {machine['rustc']}",
        f"- peer: PyTorch {peer['torch']}, BLAS {peer['blas']}, its kernels use "
        f"{peer['cpu_capability']}, {peer['mode']}, allocator: {settings['torch_allocator']}",
        f"- threads: {settings['threads']} for both; precision: {settings['precision']}",
        f"- rounds: {settings['rounds']}, order random in each (seed {settings['seed']}); "
        f"about {settings['sample_seconds']} s a sample; warm-up: {settings['warm_up']}",
        f"- command: `{settings['command']}`",
        "",
        table(results["rows"]),
        "",
        "Times are medians with quartiles; the ratio is the median of the per-round ratios, above "
        "1 ours is faster. GFLOP/s counts multiply-adds twice, a training step as three forward "
        "passes, and the visible half of a causal row. Extra MiB is the peak resident memory above "
        "what the inputs and parameters hold, in one iteration.",
    ]
    if any(record["disturbed"] for record in results["rows"]):
        lines += ["", "Rows marked ! ran beside other programs and are not judged."]
    if results["memory_growth"]:
        lines += ["", "Extra memory from n 1024 to n 4096 (4 is linear, 16 quadratic):", ""]
        cells = [["rows", "program", "factor"]]
        for entry in results["memory_growth"]:
            cells.append([entry["rows"], entry["program"], f"{entry['factor']:.1f}"])
        lines.append(_markdown(cells))
    below = results["below_floor"]
    judged = "Floors not reached: " + "; ".join(below) if below else "All floors are reached"
    lines += ["", judged + "."]
    return "\n".join(lines) + "\n"


def write(folder, results):
    """Writes `results.json` and `results.md`, each under a temporary name first."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "results.json": json.dumps(results, indent=1) + "\n",
        "results.md": document(results),
    }
    for name, text in texts.items():
        temporary = folder / f".{name}.part"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(folder / name)


def _spread(values):
    q25, median, q75 = quartiles(values)
    return {"q25": q25, "median": median, "q75": q75}


def _extra_bytes(record, label):
    return record[label]["extra_bytes"] if record and record[label] else None


def _milliseconds(side):
    if side is None:
        return "not there"
    q25, median, q75 = (side["seconds"][key] * 1e3 for key in ("q25", "median", "q75"))
    digits = 3 if median < 10 else 1
    return f"{median:.{digits}f} ({q25:.{digits}f}–{q75:.{digits}f})"


def _ratio(ratio):
    if ratio is None:
        return "–"
    return f"{ratio['median']:.2f} ({ratio['q25']:.2f}–{ratio['q75']:.2f})"


def _mebibytes(side):
    if side is None or side["extra_bytes"] is None:
        return "–"
    return f"{side['extra_bytes'] / 2**20:.1f}"


def _markdown(lines):
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths)) + " |"
        for line in lines
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([padded[0], rule, *padded[1:]])
