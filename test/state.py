"""What Python says of states: reads jobs from stdin, one JSON document, and answers with another. The tests compare it with TypeScript's.

A job is a list of states in base64. The answer is the error of reading the first one; or what was read, merged in their order.
"""

import base64
import json
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

from fourfold_state import State, StateError  # noqa: E402


def key(k):
    """A key with its type, as it reads in JSON."""
    if k is None or isinstance(k, bool):
        return repr(k)
    if isinstance(k, float):
        return struct.pack(">d", k).hex()
    return f"{k}n" if isinstance(k, int) else k


def answer(job):
    try:
        states = [State.decode(base64.b64decode(text)) for text in job]
    except StateError as error:
        return {"error": str(error)}
    again = [base64.b64encode(state.encode()).decode() for state in states]
    merged, rest = states[0], states[1:]
    added = [merged.merge(state) for state in rest]
    nodes = [[[key(k) for k in path], None if value is None else struct.pack(">d", value).hex(), items] for path, value, items in merged.values()]
    signed = base64.b64encode(merged.encode(b"key")).decode()
    return {"again": again, "added": added, "nodes": nodes, "digest": merged.digest(), "signed": signed}


json.dump([answer(job) for job in json.load(sys.stdin)], sys.stdout)
