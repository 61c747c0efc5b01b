"""Roll-ups of keyed records in exact rational arithmetic, rounded where the numeric contract says (clauses 3, 4 and 6).

Input: lines of JSON {"records": [[...cells]], "columns": [...], "levels": [{"by", "reduce", "weights"}]}, levels innermost first. The value is the
column "value"; the weights of a level are a column, null, or "count". Output: for each line [[[...key], value], ...] for each level, by key.
"""
import json
import sys
from fractions import Fraction


def nearest(exact):
    return float(exact)  # CPython rounds the quotient of two integers correctly


def reduce(kind, children):
    total = nearest(sum((Fraction(w) * Fraction(v) for v, w in children), Fraction(0)))
    if kind in ("sum", "weightedSum"):
        return total
    if kind == "mean":
        return total / len(children)
    if kind == "weightedMean":
        return total / nearest(sum((Fraction(w) for _, w in children), Fraction(0)))
    if kind == "max":
        return max(v for v, _ in children)
    raise ValueError(kind)


def roll_up(columns, records, levels):
    # A child: its record's cells (any of them, above the innermost level), its value and how many records lie below it.
    children = [(dict(zip(columns, cells)), cells[columns.index("value")], 1) for cells in records]
    told = []
    for level in levels:
        nodes = {}
        for cells, value, below in children:
            weights = level.get("weights")
            weight = below if weights == "count" else 1 if weights is None else cells[weights]
            nodes.setdefault(tuple(cells[name] for name in level["by"]), []).append((cells, value, weight, below))
        children = []
        for key in sorted(nodes, key=lambda key: tuple((cell is not None, cell) for cell in key)):
            below = nodes[key]
            value = reduce(level["reduce"], [(v, w) for _, v, w, _ in below])
            children.append((below[0][0], value, sum(n for _, _, _, n in below)))
        told.append([[[cells[name] for name in level["by"]], value] for cells, value, _ in children])
    return told


for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(roll_up(question["columns"], question["records"], question["levels"])))
