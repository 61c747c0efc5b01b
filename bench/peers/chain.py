"""The chain of four weighted sums, 8 × 16 × 1024 × 512 float32, by NumPy and numba.

Prints one JSON line when ready; then answers each line on stdin (the name of a way) by its seconds.
"""

import json
import os
import sys
from time import perf_counter

# OpenBLAS threads spin for 2^26 cycles after their work, which would be taken from whoever is measured next.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")

import numpy as np

SHAPE = (8, 16, 1024, 512)


def leaves():
    """The sequence of native/chain.c, by doubling: state[i + n] = state[i] · multiplier^n + the increments of n steps."""
    state = np.array([1664525 + 1013904223], np.uint32)
    multiplier, increment = 1664525, 1013904223
    while len(state) < np.prod(SHAPE):
        state = np.concatenate([state, state * np.uint32(multiplier) + np.uint32(increment)])
        multiplier, increment = multiplier * multiplier % 2**32, (multiplier * increment + increment) % 2**32
    return ((state >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24) - np.float32(0.5)).reshape(SHAPE)


x = leaves()
D, C, B, A = SHAPE
d, c, b, a = (1.0 / (np.arange(n) + first) for n, first in ((D, 4), (C, 3), (B, 2), (A, 1)))
# float32 throughout: mixed types would make NumPy convert all of x. Less exact than ours, and faster.
d32, c32, b32, a32 = (w.astype(np.float32) for w in (d, c, b, a))


def matmul():
    return x @ a32 @ b32 @ c32 @ d32


def matmul_rows():
    """One matrix–vector product over all rows instead of one for each g-node."""
    return (x.reshape(-1, A) @ a32).reshape(D, C, B) @ b32 @ c32 @ d32


ways = {"matmul": matmul, "matmulRows": matmul_rows}
versions = {"python": sys.version.split()[0], "numpy": np.__version__}
try:
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def fused(x, a, b, c, d):
        partial = np.zeros(D * C)
        for i in numba.prange(D * C):
            g = 0.0
            for j in range(B):
                row = x[i // C, i % C, j]
                f = 0.0
                for k in range(A):
                    f += a[k] * row[k]
                g += b[j] * f
            partial[i] = c[i % C] * d[i // C] * g
        return partial.sum()

    ways["numba"] = lambda: fused(x, a, b, c, d)
    versions["numba"] = numba.__version__
except ImportError:
    pass

results = {name: float(way()) for name, way in ways.items()}
print(json.dumps({"versions": versions, "results": results}), flush=True)
for line in sys.stdin:
    way = ways[line.strip()]
    started = perf_counter()
    way()
    print(f"{perf_counter() - started:.9f}", flush=True)
