"""The oracle of exact sums: Python's integers, rounded by int / int, which CPython defines as correctly rounded.

It shares nothing with exact.ts but the contract (clauses 3, 8, 9, 15). Each line of stdin is one program as JSON: a list of steps
[sign, hex] (a number), [sign, hex, hex] (a product) or [sign, [steps]] (a merge). Each line of stdout answers
[value, M, exponent, nan, +Infinity, -Infinity, items]: value as 16 hex digits or "nan", M as hex, odd or 0.
"""

import json
import math
import struct
import sys

SCALE = 2148  # every product of two float64 is a multiple of 2^-2148


def number(digits):
    return struct.unpack(">d", bytes.fromhex(digits))[0]


def scaled(factors):
    """The product in units of 2^-SCALE."""
    product, places = 1, 0
    for x in factors:
        n, d = x.as_integer_ratio()
        product, places = product * n, places + d.bit_length() - 1
    return product << (SCALE - places)


def collect(steps, sign, total):
    for step in steps:
        s = sign * step[0]
        if isinstance(step[1], list):
            collect(step[1], s, total)
            continue
        factors = [number(digits) for digits in step[1:]]
        total["items"] += s
        if all(map(math.isfinite, factors)):
            total["sum"] += s * scaled(factors)
        else:
            special = math.prod(factors)
            total["nan" if math.isnan(special) else "inf" if special > 0 else "-inf"] += s


def value(total):
    if total["nan"] or (total["inf"] and total["-inf"]):
        return "nan"
    n = total["sum"]
    if total["inf"]:
        f = math.inf
    elif total["-inf"]:
        f = -math.inf
    elif n == 0:
        f = 0.0
    else:
        try:
            f = abs(n) / (1 << SCALE)
        except OverflowError:
            f = math.inf
        f = -f if n < 0 else f  # one that underflows keeps its sign
    return struct.pack(">d", f).hex()


for line in sys.stdin:
    total = {"sum": 0, "nan": 0, "inf": 0, "-inf": 0, "items": 0}
    collect(json.loads(line), 1, total)
    m = total["sum"]
    zeros = (m & -m).bit_length() - 1 if m else 0
    print(
        json.dumps(
            [value(total), hex(m >> zeros), zeros - SCALE if m else 0, total["nan"], total["inf"], total["-inf"], total["items"]]
        )
    )
