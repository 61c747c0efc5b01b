"""The oracle of contributions and changes: Python's fractions. It shares nothing with src/reduce but docs/inspect.md.

Each line of stdin is one case as JSON, and the answer to it is one line: "" if it holds, else what does not.
Numbers come as 16 hex digits. A division of two integers is correctly rounded in CPython, and so is float(Fraction).
"""

import json
import math
import struct
import sys
from fractions import Fraction


def number(digits):
    return struct.unpack(">d", bytes.fromhex(digits))[0]


def rounded(fraction):
    try:
        return float(fraction)
    except OverflowError:
        return math.inf if fraction > 0 else -math.inf


def is_kept(nan, value, count):
    return nan != "skip" or (value == value and count != 0)


def weights_of(reduce, kept, weights):
    """The weight a of each kept child, so that the node is the sum of a*v; None if there is none."""
    if reduce in ("sum", "count"):
        return [Fraction(1)] * len(kept)
    if reduce == "mean":
        return [Fraction(1, len(kept)) for _ in kept]
    if not kept:
        return []
    own = [Fraction(weights[i]) for i in kept]
    total = sum(own) if reduce == "weightedMean" else 1
    return [w / total for w in own] if total != 0 else None


def contributions(case):
    value = number(case["value"])
    values = [number(x) for x in case["values"]]
    weights = [number(x) for x in case["weights"]]
    reduce, ddof = case["reduce"], case["ddof"]
    kept = [i for i, x in enumerate(values) if is_kept(case["nan"], x, case["counts"][i])]
    got = [number(x) for x in case["got"]]
    terms = {i: Fraction(0) for i in range(len(values))}
    if not all(math.isfinite(values[i]) and math.isfinite(weights[i]) for i in kept) and reduce not in ("count", "min", "max"):
        return "" if case["residual"] is None else "a residual beside what is not finite"
    if reduce in ("min", "max"):
        first = [i for i in kept if values[i] == value][0]
        terms[first] = Fraction(value)
    elif reduce == "variance":
        mean = sum(Fraction(values[i]) for i in kept) / len(kept)
        for i in kept:
            terms[i] = (Fraction(values[i]) - mean) ** 2 / (len(kept) - ddof)
    else:
        given = weights_of(reduce, kept, weights)
        if given is None:
            return "" if case["residual"] is None else "a residual beside what is not finite"
        for a, i in zip(given, kept):
            terms[i] = a if reduce == "count" else a * Fraction(values[i])
    nearest = [rounded(terms[i]) for i in range(len(values))]
    if not all(map(math.isfinite, nearest)):
        return "" if case["residual"] is None else "a residual beside what is not finite"
    if case["residual"] is None:
        return "no residual"
    residual = number(case["residual"])
    if sum(map(Fraction, got)) + Fraction(residual) != Fraction(value):
        return f"the sum is not {value!r}: {got} {residual!r}"
    rest = Fraction(value) - sum(map(Fraction, nearest))
    if rounded(rest) == rest and got != nearest:
        return f"changed without need: {got} {nearest}"
    # However little is left of the node, no contribution is off by more than the last bit of the largest, but for the largest itself.
    largest = max(map(abs, nearest), default=0.0)
    if case["honest"]:
        for x, near in zip(got, nearest):
            if abs(near) != largest and abs(x - near) > math.ulp(largest):
                return f"off by more than the last bit of the largest: {got} {nearest}"
            if near == 0 and x != 0:
                return "something from nothing"
    return ""


LINEAR = ("sum", "weightedSum", "mean", "weightedMean", "count")


def explain(before, after, rules, nan, factor, path, found):
    """Collects the exact effects of a node's change as (kind, path) -> fraction."""
    value0, value1 = number(before[0]), number(after[0])
    linear = []
    if rules and rules[0][0] in LINEAR:
        for node in (before, after):
            names = [k for k, c in node[3].items() if is_kept(nan, number(c[0]), c[2])]
            children = {k: node[3][k] for k in names}
            v = {k: number(c[0]) for k, c in children.items()}
            w = {k: number(c[1]) for k, c in children.items()}
            if rules[0][0] != "count" and not all(map(math.isfinite, [*v.values(), *w.values()])):
                break
            if not names and rules[0][0] == "mean":
                break
            a = weights_of(rules[0][0], names, w)
            if a is None:
                break
            v = {k: Fraction(1) if rules[0][0] == "count" else Fraction(x) for k, x in v.items()}
            linear.append((children, dict(zip(names, a)), v))
    if len(linear) < 2:
        add(found, "value", path, factor * (Fraction(value1) - Fraction(value0)))
        return
    (kids0, a0, v0), (kids1, a1, v1) = linear
    for key in sorted({*kids0, *kids1}):
        here = f"{path}/{key}"
        if key not in kids0:
            add(found, "new", here, factor * a1[key] * v1[key])
        elif key not in kids1:
            add(found, "gone", here, -factor * a0[key] * v0[key])
        else:
            add(found, "weight", here, factor * (v0[key] + v1[key]) / 2 * (a1[key] - a0[key]))
            middle = (a0[key] + a1[key]) / 2
            if middle != 0 and rules[0][0] != "count":
                explain(kids0[key], kids1[key], rules[1:], nan, factor * middle, here, found)


def add(found, kind, path, effect):
    if effect != 0:
        found[(kind, path)] = effect


def changes(case):
    before, after = case["before"], case["after"]
    value0, value1 = number(before[0]), number(after[0])
    if not math.isfinite(rounded_difference(value0, value1)):
        return "" if case["residual"] is None and not case["got"] else "pieces of what is not finite"
    found = {}
    explain(before, after, case["rules"], case["nan"], Fraction(1), "", found)
    got = {(kind, path): number(x) for kind, path, x in case["got"]}
    nearest = {name: rounded(effect) for name, effect in found.items()}
    if sorted(got) != sorted(nearest) or len(got) != len(case["got"]):
        return f"other pieces: {sorted(got)} {sorted(nearest)}"
    if not all(map(math.isfinite, nearest.values())):
        return "" if case["residual"] is None else "a residual beside what is not finite"
    residual, rounding = number(case["residual"]), number(case["rounding"])
    change = Fraction(value1) - Fraction(value0)
    total = sum(map(Fraction, got.values())) + Fraction(residual) + Fraction(rounding)
    if total != change:
        return f"the sum is not the change: {got} {residual!r} {rounding!r}"
    if rounding != 0 and rounded(change) == change:
        return "a rounding where there was none"
    rest = change - sum(map(Fraction, nearest.values()))
    if rounded(rest) == rest and (got != nearest or rounding != 0):
        return f"changed without need: {got} {nearest}"
    return ""


def rounded_difference(a, b):
    return b - a


for line in sys.stdin:
    case = json.loads(line)
    print(changes(case) if "before" in case else contributions(case), flush=False)
