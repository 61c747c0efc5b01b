"""The windowed weighted sums of suites/streams.mjs by Bytewax and by Polars, each where it is installed.

Arguments: the files of the frames (float32) and of the keys (uint8), values of a frame, keys, rows of a window. Prints one JSON line when
ready; then answers each line on stdin (a name) by its seconds. float32 throughout: less exact than ours, and faster.
"""

import json
import sys
from time import perf_counter

import numpy as np

data_file, codes_file, *numbers = sys.argv[1:]
VALUES, KEYS, WINDOW = map(int, numbers)
frames = np.fromfile(data_file, np.float32).reshape(-1, VALUES)
codes = np.fromfile(codes_file, np.uint8)
weights = (1.0 / (np.arange(VALUES) + 1)).astype(np.float32)
ways, versions = {}, {"python": sys.version.split()[0], "numpy": np.__version__}

try:
    from importlib.metadata import version

    import bytewax.operators as op
    from bytewax.dataflow import Dataflow
    from bytewax.testing import TestingSink, TestingSource, run_main
    from datetime import timedelta

    items = list(zip(codes.tolist(), frames))

    def close(keyed):
        """One window: its rows as an array, then NumPy."""
        rows = keyed[1]
        sums = np.stack([frame for _, frame in rows]) @ weights
        return np.bincount([code for code, _ in rows], sums, KEYS)

    def by_bytewax():
        out = []
        flow = Dataflow("windows")
        # A source that hands over a window's rows at once: one by one takes half as long again.
        rows = op.input("rows", flow, TestingSource(items, batch_size=WINDOW))
        keyed = op.key_on("all", rows, lambda row: "all")
        windows = op.collect("windows", keyed, timeout=timedelta(hours=1), max_size=WINDOW)
        op.output("out", op.map("close", windows, close), TestingSink(out))
        run_main(flow)
        return np.array(out)

    ways["bytewax"] = by_bytewax
    versions["bytewax"] = version("bytewax")
except ImportError:
    pass

try:
    import polars as pl

    # The weighted sum of an array column: a product of arrays. One column for each value takes four times as long.
    product = pl.col("x") * pl.lit(pl.Series([weights]), dtype=pl.Array(pl.Float32, VALUES))

    def by_polars():
        out = np.zeros((len(codes) // WINDOW, KEYS))
        for window in range(len(out)):
            rows = slice(window * WINDOW, (window + 1) * WINDOW)
            batch = pl.DataFrame({"key": codes[rows], "x": frames[rows]})
            found = batch.select("key", sum=product.arr.sum()).group_by("key").agg(pl.col("sum").sum())
            out[window, found["key"].to_numpy()] = found["sum"].to_numpy()
        return out

    ways["polars"] = by_polars
    versions["polars"] = pl.__version__
except ImportError:
    pass

sums = {name: way().tolist() for name, way in ways.items()}
print(json.dumps({"versions": versions, "sums": sums}), flush=True)
for line in sys.stdin:
    way = ways[line.strip()]
    started = perf_counter()
    way()
    print(f"{perf_counter() - started:.9f}", flush=True)
