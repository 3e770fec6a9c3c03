"""Small files as other programs write them.

Writes pandas.parquet, pandas_dates.parquet, polars.parquet, pandas.csv, numpy.npz, fortran.npy,
several.npz.
Python 3.11, NumPy 2.4.6, pandas 3.1.1, pyarrow 26.0.1, polars 2.1.0; no random numbers.
"""

import pathlib

import numpy as np
import pandas as pd
import polars as pl

here = pathlib.Path(__file__).parent
t = np.arange(7)

# Two series, their rows interleaved; integers, single precision, a null; snappy.
frame = pd.DataFrame(
    {
        "run": pd.Categorical(["b", "a"] * 7),
        "clock": np.repeat(t * 0.25, 2),
        "count": np.arange(14, dtype=np.int16) - 3,
        "flow": (np.arange(14) / 8).astype(np.float32),
        "level": pd.array([1.5] * 3 + [None] + [2.5] * 10, dtype="Float64"),
        "note": ["text"] * 14,
    }
)
frame.to_parquet(here / "pandas.parquet", engine="pyarrow", index=False)

# A date index, which pandas stores as a column of its own.
dates = pd.date_range("2024-02-28", periods=7, freq="6h", name="when")
frame = pd.DataFrame({"temp": t + 0.5, "wind": (t * t).astype(np.uint8)}, index=dates)
frame.to_parquet(here / "pandas_dates.parquet", engine="pyarrow")

# polars: zstd, strings as views, unsigned integers.
pl.DataFrame(
    {
        "series": ["first"] * 4 + ["second"] * 3,
        "time": np.concatenate([t[:4], t[:3]]) * 0.5,
        "u": np.arange(7, dtype=np.uint32),
        "v": -np.arange(7, dtype=np.float64) / 3,
    }
).write_parquet(here / "polars.parquet")

# The default: an unnamed index column in front, columns named by number.
pd.DataFrame(np.outer(t, [0.1, 1e-300, 1e22])).to_csv(here / "pandas.csv")

# Compressed; `u` is the only array of two axes.
u = np.arange(21, dtype=np.float32).reshape(7, 3) / 4
times = np.arange(7, dtype=np.float32) * np.float32(0.4)
np.savez_compressed(here / "numpy.npz", t=times, x=np.arange(3.0), u=u, note=np.array("text"))

# Three axes, the first one fastest: a[i, j, k] = 100 i + 10 j + k; big-endian integers.
i, j, k = np.meshgrid(np.arange(2), np.arange(5), np.arange(3), indexing="ij")
np.save(here / "fortran.npy", np.asfortranarray((100 * i + 10 * j + k).astype(">i4")))

# Two arrays that can be series, one of one axis, one of four.
np.savez(
    here / "several.npz",
    train=np.arange(8.0).reshape(4, 2),
    test=np.arange(6.0).reshape(3, 2),
    grid=np.arange(2, dtype=np.float32),
    field=np.ones((2, 2, 2, 2), dtype=np.uint8),
)
