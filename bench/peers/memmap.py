"""The chain of four weighted sums over an NPY file of float32, by NumPy's memmap: the path is the first argument.

Prints one JSON line when ready; then answers each line on stdin (the name of a way) by its seconds.
"""

import json
import os
import sys
from time import perf_counter

# OpenBLAS threads spin for 2^26 cycles after their work, which would be taken from whoever is measured next.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import numpy as np

path = sys.argv[1]
opened = np.load(path, mmap_mode="r")
D, C, B, A = opened.shape
# float32 throughout: mixed types would make NumPy convert all of x. Less exact than ours, and faster.
d, c, b, a = ((1.0 / (np.arange(n) + first)).astype(np.float32) for n, first in ((D, 4), (C, 3), (B, 2), (A, 1)))


def roll_up(x):
    return (x.reshape(-1, A) @ a).reshape(D, C, B) @ b @ c @ d


ways = {"open": lambda: roll_up(np.load(path, mmap_mode="r")), "kept": lambda: roll_up(opened)}
results = {name: float(way()) for name, way in ways.items()}
print(json.dumps({"versions": {"python": sys.version.split()[0], "numpy": np.__version__}, "results": results}), flush=True)
for line in sys.stdin:
    way = ways[line.strip()]
    started = perf_counter()
    way()
    print(f"{perf_counter() - started:.9f}", flush=True)
