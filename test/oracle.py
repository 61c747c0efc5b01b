"""The numeric contract (clauses 2, 3, 4, 6, 7, 8, 10, 11) a second time, written from its text alone.

Reads one JSON case a line on stdin: levels (innermost first, each with its kind, ddof and weights), offsets of each level,
one weight for each child, leaves; numbers are float64 bits in hex. Writes one line of JSON a case: the values of each level.
A case of flights holds [state, origin, destination, sum of delays, flights, distance] of each route instead.
A value is a float or None: None is a node that is missing under nan "skip".
"""
import json
import math
import struct
import sys
from fractions import Fraction

NAN = float("nan")


def from_hex(text):
    return struct.unpack(">d", bytes.fromhex(text))[0]


def to_hex(x):
    return "7ff8000000000000" if math.isnan(x) else struct.pack(">d", x).hex()


def rounded(exact):
    """A Fraction to the nearest float64, ties to even; int / int rounds once."""
    try:
        x = exact.numerator / exact.denominator
    except OverflowError:
        return math.inf if exact > 0 else -math.inf
    return x if exact else 0.0  # -1 / 10**400 is -0.0 in Python: the sign stays


def ieee_divide(n, w):
    if w != 0 or math.isnan(w):
        q = n / w
        return 0.0 if n == 0 and math.copysign(1.0, n) > 0 else q  # an exact zero is +0
    if n == 0 or math.isnan(n):
        return NAN
    return math.copysign(math.inf, n) * math.copysign(1.0, w)


def multiply(w, x):
    return w * x  # a Python float product is IEEE, infinities and NaN included


class Exact:
    """The exact real sum of terms, or the infinity or NaN that they make."""

    def __init__(self):
        self.sum = Fraction(0)
        self.special = set()

    def add(self, *factors):
        if all(math.isfinite(f) for f in factors):
            product = Fraction(1)
            for f in factors:
                product *= Fraction(f)
            self.sum += product
        else:
            product = 1.0
            for f in factors:
                product = multiply(product, f)
            self.special.add("nan" if math.isnan(product) else product)

    def value(self):
        if "nan" in self.special or len(self.special) > 1:
            return NAN
        return next(iter(self.special)) if self.special else rounded(self.sum)


def exact_sum(terms):
    total = Exact()
    for term in terms:
        total.add(*term)
    return total


def lanes(terms):
    """Clause 2: 16 lanes over blocks of 4096; several blocks are summed exactly."""
    blocks = []
    for start in range(0, max(len(terms), 1), 4096):
        lane = [0.0] * 16
        for i, term in enumerate(terms[start : start + 4096]):
            lane[i % 16] += term
        for half in (8, 4, 2, 1):
            for j in range(half):
                lane[j] += lane[j + half]
        blocks.append(lane[0])
    return blocks[0] if len(blocks) == 1 else exact_sum([(b,) for b in blocks]).value()


def quotient(n, w, real):
    if real and not n.special and not w.special and w.sum != 0:
        return rounded(n.sum / w.sum)
    n, w = n.value(), w.value()
    return ieee_divide(n, w)


def extreme(kind, xs):
    if not xs or any(math.isnan(x) for x in xs):
        return NAN
    best = min(xs) if kind == "min" else max(xs)
    if best == 0:  # -0 is below +0
        signs = {math.copysign(1.0, x) for x in xs if x == 0}
        return math.copysign(0.0, min(signs) if kind == "min" else max(signs))
    return best


def variance(xs, ddof):
    n = len(xs)
    if n <= ddof or not all(math.isfinite(x) for x in xs):
        return NAN
    s = sum((Fraction(x) for x in xs), Fraction(0))
    q = sum((Fraction(x) ** 2 for x in xs), Fraction(0))
    return rounded((n * q - s * s) / (n * (n - ddof)))


def node(kind, ddof, xs, ws, skip, in_lanes, real):
    kept = [i for i, x in enumerate(xs) if not (skip and (x is None or math.isnan(x)))]
    if kind == "count":
        return float(len(kept))
    values = [xs[i] for i in kept]
    if kind in ("min", "max"):
        return extreme(kind, values)
    if kind == "variance":
        return variance(values, ddof)
    kept_set = set(kept)
    weighted = kind in ("weightedSum", "weightedMean")
    if in_lanes:
        # A skipped child keeps its position and contributes +0.
        numerator = lanes([(multiply(ws[i], x) if weighted else x) if i in kept_set else 0.0 for i, x in enumerate(xs)])
        if kind in ("sum", "weightedSum"):
            return numerator
        denominator = lanes([ws[i] if i in kept_set else 0.0 for i in range(len(xs))]) if weighted else float(len(kept))
        return ieee_divide(numerator, denominator)
    numerator = exact_sum([(ws[i], xs[i]) if weighted else (xs[i],) for i in kept])
    if kind in ("sum", "weightedSum"):
        return numerator.value()
    denominator = exact_sum([(ws[i],) for i in kept]) if weighted else exact_sum([(float(len(kept)),)])
    return quotient(numerator, denominator, real)


def run(case):
    skip = case["nan"] == "skip"
    exact = case["accuracy"] == "exact"
    values = [from_hex(text) for text in case["leaves"]]
    records = [1] * len(values)
    levels = []
    for index, level in enumerate(case["levels"]):
        weights = level["weights"]
        if weights == "count":
            ws = [float(n) for n in records]
        elif weights is not None:
            ws = [from_hex(text) for text in weights]
        offsets = level["offsets"]
        out, below = [], []
        for a, b in zip(offsets, offsets[1:]):
            xs = values[a:b]
            own = None if weights is None else ws[a:b]
            n = sum(records[i] for i in range(a, b) if not (skip and (values[i] is None or math.isnan(values[i]))))
            in_lanes = index == 0 and case["form"] == "rows" and not exact
            out.append(node(level["kind"], level["ddof"], xs, own, skip, in_lanes, exact))
            below.append(n)
        levels.append([to_hex(x) for x in out])
        values = [None if skip and n == 0 else x for x, n in zip(out, below)]
        records = below
    return levels


def flights(routes):
    """The flights of examples/flights.json: mean, mean by distance, mean by count, mean; each node rounded as clause 6 says."""
    levels = [{}, {}, {}, {}]
    airports, states = {}, {}
    for state, origin, destination, total, n, distance in sorted(routes):
        value = rounded(Fraction(total, n))
        levels[0][state, origin, destination] = value
        airports.setdefault((state, origin), []).append((value, distance, n))
    for (state, origin), inner in sorted(airports.items()):
        value = weighted_mean([(v, d) for v, d, _ in inner])
        levels[1][state, origin] = value
        states.setdefault((state,), []).append((value, sum(n for _, _, n in inner)))
    for state, inner in sorted(states.items()):
        levels[2][state] = weighted_mean(inner)
    levels[3][()] = weighted_mean([(v, 1) for v in levels[2].values()])
    return [[[list(key), to_hex(value)] for key, value in level.items()] for level in levels]


def weighted_mean(pairs):
    numerator = rounded(sum((Fraction(v) * w for v, w in pairs), Fraction(0)))
    return numerator / rounded(Fraction(sum(w for _, w in pairs)))


for line in sys.stdin:
    case = json.loads(line)
    print(json.dumps(flights(case["flights"]) if "flights" in case else run(case)), flush=True)
