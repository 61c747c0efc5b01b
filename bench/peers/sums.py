"""math.fsum of the numbers of suites/sum.mjs.

Prints one JSON line when ready; then answers each line on stdin (the name of a kind) by its seconds.
"""

import json
import math
import sys
from array import array
from time import perf_counter


def numbers(n, spread):
    state = 1
    found = array("d")
    for _ in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        high = state >> 8
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        x = high / 2**24 + (state >> 8) / 2**48 - 0.5
        if spread:
            state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
            x *= 2.0 ** ((state >> 8) % (2 * spread + 1) - spread)
        found.append(x)
    return found


kinds = {name: numbers(int(sys.argv[1]), spread) for name, spread in json.loads(sys.argv[2]).items()}
results = {name: math.fsum(values) for name, values in kinds.items()}
print(json.dumps({"version": sys.version.split()[0], "results": results}), flush=True)
for line in sys.stdin:
    values = kinds[line.strip()]
    started = perf_counter()
    math.fsum(values)
    print(f"{perf_counter() - started:.9f}", flush=True)
