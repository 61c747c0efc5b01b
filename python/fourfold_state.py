#!/usr/bin/env python3
"""Reads, merges and writes states of Fourfold, and gives the values of their nodes.

A state is the partial result of a chain of reductions over keyed records, as bytes. This module follows docs/state-format.md,
version 1, and needs nothing but the standard library of Python 3.9 or later. What it writes has the bytes that Fourfold writes, and
the values it gives have the bits that Fourfold gives: sums are integers and fractions, rounded once.

It gives the values of the innermost level, whose nodes are what a state holds. The levels above take those values once all states
are merged; closing them is `state.finish()` of Fourfold itself. States of a reduction that a user defined in JavaScript are
carried along and written again, but merging two of one node needs that reduction's own functions, so it is refused.

    python3 fourfold_state.py show FILE               what it is a state of, what it has read, the value of each node
    python3 fourfold_state.py merge OUT IN [IN ...]   merges states, drops what is there twice, writes the result to OUT
    python3 fourfold_state.py digest FILE             SHA-256 of the value alone

With --hmac-key-file FILE states must be signed with the key that is the content of that file, and OUT is signed with it, too.
Exit codes: 0 it worked, 1 a file cannot be read, is no state or does not fit, 2 the command line is wrong.

    from fourfold_state import State
    state = State.decode(open("a.ffst", "rb").read())
    state.merge(State.decode(open("b.ffst", "rb").read()))
    for path, value, items in state.values(): ...
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import hmac
import math
import os
import struct
import sys
import tempfile
import zlib
from fractions import Fraction
from typing import Dict, Iterator, List, NamedTuple, NoReturn, Optional, Sequence, Tuple, Union

__all__ = ["State", "StateError"]

MAGIC = b"FFST"
FORMAT_VERSION = 1
CONTRACT_VERSION = "1"
SIGNED = 1
VALUE_AT = len(MAGIC) + 2
HASH_BYTES = 32
CRC_BYTES = 4
NAN_BYTES = bytes.fromhex("000000000000f87f")
INTEGER_MAX = 2**53 - 1
EXPONENT_MIN, BIT_MAX = -2148, 2112
KEY_BYTES_MAX = 1024
BYTES_MAX = 256 << 20
NODES_MAX = 1 << 24

KINDS = ("sum", "weightedSum", "mean", "weightedMean", "min", "max", "count", "variance", "user")
NAN_POLICIES = ("propagate", "skip", "error")
ACCURACIES = ("reproducible", "exact")
NULL_KEYS = ("error", "skip", "group")

# What a key column holds: None, a bool, a float (a number), an int (a BigInt) or a str.
Key = Union[None, bool, float, int, str]
# A key with its place among kinds before it: so keys sort, and 2 and 2.0 are one key while 1 and True are two.
Ranked = Tuple[int, Union[bool, float, int, str]]
Path = Tuple[Ranked, ...]


class StateError(ValueError):
    """Bytes that are no state, or states that do not fit each other."""


# ---------------------------------------------------------------------------------------------------------------- elements


class Reader:
    """Reads the elements of the format; anything that is not in its one form is an error."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def fail(self, problem: str) -> NoReturn:
        raise StateError(f"the state {problem} (byte {self.at} of {len(self.data)})")

    def bytes(self, count: int) -> bytes:
        if count > self.left:
            self.fail(f"ends early: {count} bytes announced, {self.left} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def byte(self) -> int:
        return self.bytes(1)[0]

    def unsigned(self) -> int:
        value = 0
        for group in range(8):
            byte = self.byte()
            value |= (byte & 127) << (7 * group)
            if byte < 128:
                if byte == 0 and group > 0:
                    self.fail("holds an integer that is not in its shortest form")
                if value > INTEGER_MAX:
                    self.fail("holds an integer of 2^53 or more")
                return value
        self.fail("holds an integer of 2^53 or more")

    def signed(self) -> int:
        folded = self.unsigned()
        return folded // 2 if folded % 2 == 0 else -(folded + 1) // 2

    def count(self, bytes_each: int) -> int:
        """A number of things that take bytes_each bytes or more."""
        count = self.unsigned()
        if count * bytes_each > self.left:
            self.fail(f"ends early: {count} entries announced, {self.left} bytes left")
        return count

    def text(self) -> str:
        try:
            return self.bytes(self.unsigned()).decode("utf-8")
        except UnicodeDecodeError:
            self.fail("holds text that is not UTF-8")

    def float(self) -> float:
        data = self.bytes(8)
        (value,) = struct.unpack("<d", data)
        if math.isnan(value) and data != NAN_BYTES:
            self.fail("holds a NaN with other bits than 7ff8000000000000")
        return value

    def magnitude(self, bytes_max: int) -> int:
        length = self.unsigned()
        if length > bytes_max:
            self.fail(f"has an integer of {length} bytes, expected at most {bytes_max}")
        data = self.bytes(length)
        if length > 0 and data[-1] == 0:
            self.fail("has an integer with a leading zero byte")
        return int.from_bytes(data, "little")

    def end(self) -> None:
        if self.left > 0:
            self.fail(f"has {self.left} bytes too many")


class Writer:
    """Writes the elements of the format."""

    def __init__(self) -> None:
        self.data = bytearray()

    def bytes(self, data: bytes) -> None:
        self.data += data

    def byte(self, value: int) -> None:
        self.data.append(value)

    def unsigned(self, value: int) -> None:
        if not 0 <= value <= INTEGER_MAX:
            raise StateError(f"the state holds the count {value}, which its format cannot say")
        while value >= 128:
            self.data.append(value & 127 | 128)
            value >>= 7
        self.data.append(value)

    def signed(self, value: int) -> None:
        self.unsigned(2 * value if value >= 0 else -2 * value - 1)

    def text(self, value: str) -> None:
        data = value.encode("utf-8")
        self.unsigned(len(data))
        self.bytes(data)

    def float(self, value: float) -> None:
        self.bytes(NAN_BYTES if math.isnan(value) else struct.pack("<d", value))

    def magnitude(self, value: int) -> None:
        data = value.to_bytes((value.bit_length() + 7) // 8, "little")
        self.unsigned(len(data))
        self.bytes(data)


# -------------------------------------------------------------------------------------------------------------- arithmetic


def rounded(x: Fraction) -> float:
    """The float nearest to x, ties to even. What underflows keeps its sign, what overflows is an infinity."""
    if x == 0:
        return 0.0
    sign = -1.0 if x < 0 else 1.0
    try:
        return math.copysign(x.numerator / x.denominator, sign)  # Python rounds the quotient of two integers correctly
    except OverflowError:
        return math.copysign(math.inf, sign)


def divided(n: float, d: float) -> float:
    """The IEEE quotient, but +0 for +0 by a negative number (clause 8)."""
    if d != 0:
        return 0.0 if n == 0 and math.copysign(1, n) > 0 and not math.isnan(d) else n / d
    if n == 0 or math.isnan(n) or math.isnan(d):
        return math.nan
    return math.copysign(math.inf, n) * math.copysign(1.0, d)


class Exact:
    """An exact value: a rational number that is a multiple of 2^-2148, and counted terms."""

    __slots__ = ("sum", "nan", "positive", "negative", "items")

    def __init__(self, sum: Fraction, nan: int, positive: int, negative: int, items: int) -> None:
        self.sum = sum
        self.nan = nan
        self.positive = positive
        self.negative = negative
        self.items = items

    @classmethod
    def read(cls, source: Reader) -> "Exact":
        sign = source.byte()
        if sign > 2:
            source.fail(f"has the sign {sign}, expected 0, 1 or 2")
        total = Fraction(0)
        if sign > 0:
            exponent = source.signed()
            if not EXPONENT_MIN <= exponent < BIT_MAX:
                source.fail(f"has the exponent {exponent}, expected {EXPONENT_MIN} to {BIT_MAX - 1}")
            m = source.magnitude((BIT_MAX - EXPONENT_MIN + 7) // 8)
            if m % 2 == 0:
                source.fail("has an M that is not odd")
            if exponent + m.bit_length() > BIT_MAX:
                source.fail(f"has a sum of 2^{BIT_MAX} or more")
            total = Fraction(m << exponent) if exponent >= 0 else Fraction(m, 1 << -exponent)
            if sign == 2:
                total = -total
        return cls(total, source.signed(), source.signed(), source.signed(), source.signed())

    def is_of_children(self) -> bool:
        """Whether the counts may be those of children. In sums that terms were taken out of they may be anything."""
        special = self.nan + self.positive + self.negative
        return min(self.nan, self.positive, self.negative) >= 0 and special <= self.items and (self.sum == 0 or special < self.items)

    def write(self, target: Writer) -> None:
        target.byte(0 if self.sum == 0 else 1 if self.sum > 0 else 2)
        if self.sum != 0:
            m, down = abs(self.sum.numerator), self.sum.denominator.bit_length() - 1
            up = (m & -m).bit_length() - 1
            target.signed(up - down)
            target.magnitude(m >> up)
        for count in (self.nan, self.positive, self.negative, self.items):
            target.signed(count)

    def merge(self, other: "Exact") -> None:
        self.sum += other.sum
        self.nan += other.nan
        self.positive += other.positive
        self.negative += other.negative
        self.items += other.items

    @property
    def special(self) -> Optional[float]:
        if self.nan != 0 or (self.positive != 0 and self.negative != 0):
            return math.nan
        return math.inf if self.positive != 0 else -math.inf if self.negative != 0 else None

    def value(self) -> float:
        return rounded(self.sum) if self.special is None else self.special

    def divided_by(self, divisor: "Exact") -> float:
        """The real quotient, rounded once. Where it does not exist, what IEEE says of the signs of both."""
        if self.special is None and divisor.special is None and divisor.sum != 0:
            return rounded(self.sum / divisor.sum)
        n, d = (x.special if x.special is not None else float((x.sum > 0) - (x.sum < 0)) for x in (self, divisor))
        if n == 0 and d != 0 and not math.isnan(d):
            return 0.0
        return divided(n, d)


# ------------------------------------------------------------------------------------------------------------------- nodes


class SumNode:
    """The state of a node of a sum, mean, count, weighted sum, weighted mean or variance."""

    def __init__(self, state: "State", source: Reader) -> None:
        self.kind, self.ddof, self.exact = state.kind, state.ddof, state.accuracy == "exact"
        self.main = Exact.read(source)
        self.second = Exact.read(source) if self.kind in ("weightedMean", "variance") else None
        if self.second is not None and self.second.items != self.main.items:
            source.fail(f"has a node with {self.main.items} and {self.second.items} items in its two sums")
        for exact in (self.main, self.second):
            if exact is not None and not exact.is_of_children():
                source.fail("has a node whose counts are not those of any children")
        if self.kind == "count" and self.main.sum != self.main.items:
            source.fail("has a count that is not the number of its items")

    @property
    def items(self) -> int:
        return self.main.items

    def write(self, target: Writer) -> None:
        self.main.write(target)
        if self.second is not None:
            self.second.write(target)

    def merge(self, other: "SumNode") -> None:
        self.main.merge(other.main)
        if self.second is not None and other.second is not None:
            self.second.merge(other.second)

    def value(self) -> float:
        if self.kind == "mean":
            if self.exact:
                return self.main.divided_by(Exact(Fraction(self.items), 0, 0, 0, 1))
            return divided(self.main.value(), float(self.items))
        if self.second is None:
            return self.main.value()
        if self.kind == "weightedMean":
            if self.exact:
                return self.main.divided_by(self.second)
            return divided(self.main.value(), self.second.value())
        if self.items <= self.ddof or self.main.special is not None or self.second.special is not None:
            return math.nan
        return rounded((self.items * self.second.sum - self.main.sum**2) / (self.items * (self.items - self.ddof)))


class ExtremeNode:
    """The state of a node of a minimum or maximum."""

    def __init__(self, state: "State", source: Reader) -> None:
        self.kind = state.kind
        self.items = source.unsigned()
        self.extreme = source.float() if self.items > 0 else math.nan

    def write(self, target: Writer) -> None:
        target.unsigned(self.items)
        if self.items > 0:
            target.float(self.extreme)

    def merge(self, other: "ExtremeNode") -> None:
        if self.items == 0 or other.items == 0:
            self.extreme = other.extreme if self.items == 0 else self.extreme
        elif math.isnan(self.extreme) or math.isnan(other.extreme):
            self.extreme = math.nan
        else:
            # −0 < +0
            choose = min if self.kind == "min" else max
            self.extreme = choose(self.extreme, other.extreme, key=lambda x: (x, math.copysign(1, x)))
        self.items += other.items

    def value(self) -> float:
        return self.extreme


class UserNode:
    """The state of a node of a user's reduction: bytes that only its own functions understand."""

    def __init__(self, state: "State", source: Reader) -> None:
        self.name = state.levels[0].reduction
        self.items = source.unsigned()
        self.data = source.bytes(source.unsigned())

    def write(self, target: Writer) -> None:
        target.unsigned(self.items)
        target.unsigned(len(self.data))
        target.bytes(self.data)

    def merge(self, other: "UserNode") -> None:
        raise StateError(f'merging needs the functions of reduction "{self.name}": merge these states with Fourfold')

    def value(self) -> None:
        return None


Node = Union[SumNode, ExtremeNode, UserNode]
NODES = {"min": ExtremeNode, "max": ExtremeNode, "user": UserNode}
NODE_BYTES_MIN = {"min": 1, "max": 1, "user": 2, "weightedMean": 10, "variance": 10}  # the others: 5


# -------------------------------------------------------------------------------------------------------------------- keys


def ranked(key: Key) -> Ranked:
    if key is None:
        return (0, 0)
    if isinstance(key, bool):
        return (1, key)
    return (3, key) if isinstance(key, str) else (2, key)


def read_key(source: Reader) -> Key:
    kind = source.byte()
    if kind == 0:
        return None
    if kind in (1, 2):
        return kind == 2
    if kind == 3:
        number = source.float()
        if math.isnan(number) or (number == 0 and math.copysign(1, number) < 0):
            source.fail("has NaN or −0 as a key")
        return number
    if kind in (4, 5):
        integer = source.magnitude(KEY_BYTES_MAX)
        if kind == 5 and integer == 0:
            source.fail("has an integer key that is not in its shortest form")
        return -integer if kind == 5 else integer
    if kind == 6:
        return source.text()
    source.fail(f"has a key of the kind {kind}, expected 0 to 6")


def write_key(target: Writer, key: Key) -> None:
    if key is None:
        target.byte(0)
    elif isinstance(key, bool):
        target.byte(2 if key else 1)
    elif isinstance(key, float):
        target.byte(3)
        target.float(key)
    elif isinstance(key, int):
        target.byte(5 if key < 0 else 4)
        target.magnitude(abs(key))
    else:
        target.byte(6)
        target.text(key)


# -------------------------------------------------------------------------------------------------------------- provenance


class Interval(NamedTuple):
    """Offsets start to end − 1 of a partition of a source."""

    source: str
    partition: int
    start: int
    end: int

    def __str__(self) -> str:
        return f'"{self.source}", partition {self.partition}: [{self.start}, {self.end})'


def read_provenance(source: Reader) -> List[Interval]:
    intervals: List[Interval] = []
    previous: Optional[Tuple[str, int]] = None
    for _ in range(source.count(5)):
        partition = (source.text(), source.unsigned())
        if previous is not None and partition <= previous:
            source.fail("has provenance that is not sorted")
        previous = partition
        count = source.count(2)
        if count == 0:
            source.fail("has a partition without intervals")
        end = 0
        for i in range(count):
            gap, length = source.unsigned(), source.unsigned()
            if length == 0 or (i > 0 and gap == 0):
                source.fail("has intervals that are empty or touch")
            start, end = end + gap, end + gap + length
            if end > INTEGER_MAX:
                source.fail("has an offset of 2^53 or more")
            intervals.append(Interval(*partition, start, end))
    return intervals


def write_provenance(target: Writer, intervals: Sequence[Interval]) -> None:
    partitions: Dict[Tuple[str, int], List[Interval]] = {}
    for interval in intervals:
        partitions.setdefault((interval.source, interval.partition), []).append(interval)
    target.unsigned(len(partitions))
    for (name, partition), read in partitions.items():
        target.text(name)
        target.unsigned(partition)
        target.unsigned(len(read))
        end = 0
        for interval in read:
            target.unsigned(interval.start - end)
            target.unsigned(interval.end - interval.start)
            end = interval.end


def is_replay(read: Sequence[Interval], coming: Sequence[Interval]) -> bool:
    """True if all that is coming was read before, False if none of it was; anything between is an error. Both are sorted."""
    known: Optional[Tuple[Interval, Interval]] = None
    fresh: Optional[Interval] = None
    at = 0
    for interval in coming:
        partition = interval[:2]
        while at < len(read) and (read[at][:2] < partition or (read[at][:2] == partition and read[at].end <= interval.start)):
            at += 1
        if at == len(read) or read[at][:2] != partition or read[at].start >= interval.end:
            fresh = fresh or interval
        elif read[at].start > interval.start or read[at].end < interval.end:
            raise StateError(f"source {interval} overlaps with [{read[at].start}, {read[at].end}), which was read before")
        else:
            known = known or (interval, read[at])
    if known is not None and fresh is not None:
        raise StateError(f"source {known[0]} was read before, in [{known[1].start}, {known[1].end}), but {fresh} was not")
    return known is not None


def joined(intervals: Sequence[Interval]) -> List[Interval]:
    """Disjoint intervals in order, those that touch as one."""
    result: List[Interval] = []
    for interval in sorted(intervals):
        if result and result[-1][:2] == interval[:2] and result[-1].end == interval.start:
            result[-1] = result[-1]._replace(end=interval.end)
        else:
            result.append(interval)
    return result


# ------------------------------------------------------------------------------------------------------------------- state


class Level(NamedTuple):
    name: str
    kind: str
    ddof: int
    reduction: str
    """The kind, or the name of a user's reduction."""
    depth: int
    """How many leading key columns name its nodes."""


class State:
    """A state: what it is a state of, its open nodes by path, what it has read."""

    chain: bytes
    policy: bytes
    hashes: Tuple[bytes, bytes, bytes]
    """Of chain, weights and policy."""
    levels: List[Level]
    key_names: List[str]
    nan: str
    accuracy: str
    null_keys: str
    skipped: int
    columns: List[Dict[Ranked, Key]]
    """The keys of each column that names the innermost nodes."""
    nodes: Dict[Path, Node]
    provenance: List[Interval]

    @property
    def kind(self) -> str:
        return self.levels[0].kind

    @property
    def ddof(self) -> int:
        return self.levels[0].ddof

    @classmethod
    def decode(
        cls, data: bytes, hmac_key: Optional[bytes] = None, bytes_max: int = BYTES_MAX, nodes_max: int = NODES_MAX
    ) -> "State":
        """Reads a state. Raises StateError for bytes that are damaged, of another version, or signed with another key."""
        if len(data) > bytes_max:
            raise StateError(f"the state has {len(data)} bytes, at most {bytes_max} are read")
        state = cls()
        source = Reader(checked(data, hmac_key))
        source.bytes(VALUE_AT)
        contract = source.text()
        if contract != CONTRACT_VERSION:
            raise StateError(f'the state keeps version "{contract}" of the numeric contract, this program {CONTRACT_VERSION}')
        state.hashes = (source.bytes(HASH_BYTES), source.bytes(HASH_BYTES), source.bytes(HASH_BYTES))
        state.chain = source.bytes(source.unsigned())
        state.policy = source.bytes(3)
        for part, said in ((state.chain, state.hashes[0]), (state.policy, state.hashes[2])):
            if hashlib.sha256(part).digest() != said:
                source.fail("has a hash of chain or policy that is not theirs")
        state._read_chain(Reader(state.chain))
        if state.policy[0] >= len(NAN_POLICIES) or state.policy[1] >= len(ACCURACIES) or state.policy[2] >= len(NULL_KEYS):
            source.fail("has a policy that is not known")
        state.nan = NAN_POLICIES[state.policy[0]]
        state.accuracy = ACCURACIES[state.policy[1]]
        state.null_keys = NULL_KEYS[state.policy[2]]
        state._read_nodes(source, nodes_max)
        state.provenance = read_provenance(source)
        source.end()
        return state

    def encode(self, hmac_key: Optional[bytes] = None) -> bytes:
        """The bytes of the state, signed where there is a key."""
        target = Writer()
        target.bytes(MAGIC)
        target.byte(FORMAT_VERSION)
        target.byte(0 if hmac_key is None else SIGNED)
        target.bytes(self._value_bytes())
        write_provenance(target, self.provenance)
        target.bytes(struct.pack("<I", zlib.crc32(target.data)))
        if hmac_key is not None:
            target.bytes(hmac.new(hmac_key, bytes(target.data), hashlib.sha256).digest())
        return bytes(target.data)

    def digest(self) -> str:
        """SHA-256 of the value alone, as hex."""
        return hashlib.sha256(self._value_bytes()).hexdigest()

    def merge(self, other: "State") -> bool:
        """Adds all that another state holds, unless all of it was read before: then nothing changes. True if it was added."""
        for what, mine, theirs in zip(("chain", "weights", "policy"), self.hashes, other.hashes):
            if mine != theirs:
                here, there = {
                    "chain": (self.describe(), other.describe()),
                    "weights": (mine.hex(), theirs.hex()),
                    "policy": (self.describe_policy(), other.describe_policy()),
                }[what]
                raise StateError(f"the states do not fit: the {what} here {'are' if what == 'weights' else 'is'} {here}, there {there}")
        if self._is_silent() and other.provenance or other._is_silent() and self.provenance:
            raise StateError("the states do not fit: only one of them says what it has read")
        if is_replay(self.provenance, other.provenance):
            return False
        if self.kind == "user" and not self.nodes.keys().isdisjoint(other.nodes):
            next(iter(self.nodes.values())).merge(next(iter(other.nodes.values())))
        for path, node in other.nodes.items():
            if path in self.nodes:
                self.nodes[path].merge(node)
            else:
                self.nodes[path] = copy.deepcopy(node)
        for mine, theirs in zip(self.columns, other.columns):
            for place, key in theirs.items():
                if place not in mine or isinstance(key, float):
                    mine[place] = key
        self.skipped += other.skipped
        self.provenance = joined([*self.provenance, *other.provenance])
        return True

    def _is_silent(self) -> bool:
        """True if it holds records and does not say where they come from."""
        return not self.provenance and (self.skipped > 0 or any(node.items for node in self.nodes.values()))

    def values(self) -> Iterator[Tuple[Tuple[Key, ...], Optional[float], int]]:
        """Path, value and items of each node of the innermost level, in order of key. A user's reduction has no value here."""
        for path in sorted(self.nodes):
            node = self.nodes[path]
            value = node.value()
            # Hardware makes NaN of several bits; this one has those of clause 8.
            told = math.nan if value is not None and math.isnan(value) else value
            yield tuple(self.columns[i][key] for i, key in enumerate(path)), told, node.items

    def describe(self) -> str:
        levels = ", ".join(f"{x.name}: {x.reduction}" + (f" with ddof {x.ddof}" if x.kind == "variance" else "") for x in self.levels)
        by = ", ".join(f'"{name}"' for name in self.key_names)
        return f"{{ {levels} }}" + (f" by {by} ({', '.join(str(x.depth) for x in self.levels)})" if by else "")

    def describe_policy(self) -> str:
        return f'nan "{self.nan}", accuracy "{self.accuracy}", nullKeys "{self.null_keys}"'

    def _value_bytes(self) -> bytes:
        target = Writer()
        target.text(CONTRACT_VERSION)
        for part in self.hashes:
            target.bytes(part)
        target.unsigned(len(self.chain))
        target.bytes(self.chain)
        target.bytes(self.policy)
        target.unsigned(self.skipped)
        places: List[Dict[Ranked, int]] = []
        for column in self.columns:
            order = sorted(column)
            places.append({key: i for i, key in enumerate(order)})
            target.unsigned(len(order))
            for key in order:
                write_key(target, column[key])
        target.unsigned(len(self.nodes))
        for path in sorted(self.nodes):
            for column_places, key in zip(places, path):
                target.unsigned(column_places[key])
            self.nodes[path].write(target)
        return bytes(target.data)

    def _read_chain(self, source: Reader) -> None:
        reductions = []
        for _ in range(source.count(2)):
            name, number = source.text(), source.byte()
            if number >= len(KINDS):
                source.fail("has a reduction of a kind that is not known")
            kind = KINDS[number]
            ddof = source.unsigned() if kind == "variance" else 0
            reductions.append((name, kind, ddof, source.text() if kind == "user" else kind))
        self.key_names = [source.text() for _ in range(source.count(1))]
        if len(set(self.key_names)) < len(self.key_names):
            source.fail("has two key columns of one name")
        if any(name.isascii() and name.isdigit() and (name == "0" or name[0] != "0") for name in self.key_names):
            source.fail("has a key column whose name is an integer")
        self.levels = []
        most = len(self.key_names)
        for reduction in reductions:
            depth = source.unsigned()
            if depth > most:
                source.fail("has a level with more key columns than the one inside it")
            self.levels.append(Level(*reduction, depth))
            most = depth
        source.end()
        if not self.levels:
            source.fail("has no levels")

    def _read_nodes(self, source: Reader, nodes_max: int) -> None:
        self.skipped = source.unsigned()
        if self.skipped > 0 and self.nan != "skip":
            source.fail(f'has skipped records under nan "{self.nan}"')
        depth = self.levels[0].depth
        lists: List[List[Ranked]] = []
        self.columns = []
        for _ in range(depth):
            keys = [read_key(source) for _ in range(source.count(1))]
            places = [ranked(key) for key in keys]
            if any(not a < b for a, b in zip(places, places[1:])):
                source.fail("has keys that are not sorted")
            lists.append(places)
            self.columns.append(dict(zip(places, keys)))
        count = source.count(depth + NODE_BYTES_MIN.get(self.kind, 5))
        if count > nodes_max:
            raise StateError(f"the state has {count} nodes, at most {nodes_max} are read")
        if depth == 0 and count != 1:
            source.fail(f"has {count} nodes without keys, expected 1")
        make = NODES.get(self.kind, SumNode)
        self.nodes = {}
        used = [set() for _ in range(depth)]
        previous: Optional[List[int]] = None
        for _ in range(count):
            place = [source.unsigned() for _ in range(depth)]
            for i, key in enumerate(place):
                if key >= len(lists[i]):
                    source.fail(f"has a node with key {key} of {len(lists[i])}")
                used[i].add(key)
            if previous is not None and place <= previous:
                source.fail("has nodes that are not sorted")
            previous = place
            self.nodes[tuple(lists[i][key] for i, key in enumerate(place))] = make(self, source)
        if any(len(used[i]) < len(lists[i]) for i in range(depth)):
            source.fail("has keys of no node")


def checked(data: bytes, hmac_key: Optional[bytes]) -> bytes:
    """The bytes before checksum and signature, once both are right."""
    if len(data) < VALUE_AT + CRC_BYTES or data[: len(MAGIC)] != MAGIC:
        raise StateError("the bytes are no state: they do not start with FFST")
    if data[4] != FORMAT_VERSION:
        raise StateError(f"the state has format version {data[4]}, this program reads {FORMAT_VERSION}")
    if data[5] > SIGNED:
        raise StateError(f"the state has the flags {data[5]}, expected 0 or 1")
    end = len(data) - (HASH_BYTES if data[5] == SIGNED else 0)
    if end < VALUE_AT + CRC_BYTES:
        raise StateError("the state ends early")
    value = data[: end - CRC_BYTES]
    (said,) = struct.unpack("<I", data[end - CRC_BYTES : end])
    crc = zlib.crc32(value)
    if said != crc:
        raise StateError(f"the state is damaged: its checksum is {said:08x}, its bytes have {crc:08x}")
    if data[5] == SIGNED and hmac_key is None:
        raise StateError("the state is signed, and no key was given")
    if data[5] != SIGNED and hmac_key is not None:
        raise StateError("the state is not signed, and a key was given")
    if hmac_key is not None and not hmac.compare_digest(hmac.new(hmac_key, data[:end], hashlib.sha256).digest(), data[end:]):
        raise StateError("the state is signed with another key, or was changed")
    return value


# ----------------------------------------------------------------------------------------------------------------- command


def show(state: State, size: int) -> None:
    print(f"chain       {state.describe()}")
    print(f"policy      {state.describe_policy()}")
    print(f"weights     {state.hashes[1].hex()}")
    print(f"digest      {state.digest()}")
    print(f"bytes       {size}")
    for interval in state.provenance:
        print(f"read        {interval}")
    print(f"skipped     {state.skipped}")
    print(f"nodes       {len(state.nodes)}")
    for path, value, items in state.values():
        keys = ", ".join(f'"{key}"' if isinstance(key, str) else f"{key}n" if type(key) is int else repr(key) for key in path)
        told = "?" if value is None else repr(value)
        print(f"  ({keys})  {told}  of {items}")


def write_whole(path: str, data: bytes) -> None:
    """Writes a file so that its place holds all of it, or what was there before. What is no file, such as a pipe, is written to as it is."""
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            file.write(data)
        return
    try:
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".fourfold-")
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError):
            raise OSError(error.errno, error.strerror, path) from error
        raise


def positive(text: str) -> int:
    """A limit on the command line."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"given {text}, expected an integer above 0")
    return int(text)


def run(arguments: argparse.Namespace) -> None:
    key: Optional[bytes] = None
    if arguments.hmac_key_file is not None:
        with open(arguments.hmac_key_file, "rb") as file:
            key = file.read()
        if not key:
            raise StateError(f"{arguments.hmac_key_file}: the key is empty")

    def load(path: str) -> Tuple[State, int]:
        with open(path, "rb") as file:
            data = file.read(arguments.bytes_max + 1)
        try:
            return State.decode(data, key, arguments.bytes_max, arguments.nodes_max), len(data)
        except StateError as error:
            raise StateError(f"{path}: {error}") from error

    if arguments.command == "show":
        show(*load(arguments.file))
    elif arguments.command == "digest":
        print(load(arguments.file)[0].digest())
    else:
        state, _ = load(arguments.inputs[0])
        for path in arguments.inputs[1:]:
            other, _ = load(path)
            try:
                added = state.merge(other)
            except StateError as error:
                raise StateError(f"{path}: {error}") from error
            if not added:
                print(f"fourfold_state: {path}: all of it was read before, so it was dropped", file=sys.stderr)
        write_whole(arguments.out, state.encode(key))


def main(argv: Optional[Sequence[str]] = None) -> int:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--hmac-key-file", metavar="FILE", help="states are signed with the content of this file")
    common.add_argument("--bytes-max", metavar="N", type=positive, default=BYTES_MAX, help="bytes of the longest state that is read")
    common.add_argument("--nodes-max", metavar="N", type=positive, default=NODES_MAX, help="the most nodes that are read")
    parser = argparse.ArgumentParser(prog="fourfold_state", description="Reads, merges and writes states of Fourfold.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", parents=[common], help="prints a state and the values of its nodes").add_argument("file")
    merge = commands.add_parser("merge", parents=[common], help="merges states")
    merge.add_argument("out")
    merge.add_argument("inputs", nargs="+", metavar="in")
    commands.add_parser("digest", parents=[common], help="prints the SHA-256 of the value alone").add_argument("file")
    arguments = parser.parse_args(argv)
    try:
        run(arguments)
        sys.stdout.flush()
        return 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader went away, as `head` does
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"fourfold_state: {where}{error.strerror}", file=sys.stderr)
        return 1
    except StateError as error:
        print(f"fourfold_state: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
