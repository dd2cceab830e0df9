"""Random configurations, tables, event logs and bytes, from a seed; and what may not happen with them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from random import Random
from typing import Any

from retrograd.base.errors import RetrogradError

TIMES = int(os.environ.get("RETROGRAD_FUZZ", "1"))  # `make fuzz` sets more
BAD = [None, True, False, 0, -1, 1.5, 10**9, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), "", "x", "nan", "1e5",
       [], {}, [[]], [1, 2], {"a": 1}, "日本", "../x", "a\0b", "dense", ["relu"], [None], "classes", {1: 2}]  # fmt: skip
DATA = ["xor", "iris", {"builtin": "circles", "samples": 40}, {"builtin": "waves", "samples": 24},
        {"builtin": "reviews", "samples": 40, "text": {"unit": "words"}}]  # fmt: skip
MAX_DEPTH = 6


def refused(action: Callable[[], Any]) -> RetrogradError | None:
    """Return the error that reports the user's mistake; anything else is raised, and fails the test."""
    try:
        action()
    except RetrogradError as error:
        return error
    return None


def instance(random: Random, schema: dict, root: dict, depth: int = 0) -> Any:
    """Return a value that a JSON Schema allows."""
    if "$ref" in schema:
        return instance(random, root["$defs"][schema["$ref"].rpartition("/")[2]], root, depth)
    if "allOf" in schema:
        values = (instance(random, schema["allOf"][0], root, depth) for _ in range(20))
        return next((value for value in values if not isinstance(value, dict)), "relu")  # a layer's short form
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    if "anyOf" in schema:
        choices = schema["anyOf"]
        if depth > MAX_DEPTH:
            choices = [each for each in choices if "enum" in each or each.get("type") in ("null", "integer")] or choices
        return instance(random, random.choice(choices), root, depth)
    return PLAIN[schema.get("type", "object")](random, schema, root, depth)


def _integer(random: Random, schema: dict, root: dict, depth: int) -> int:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", -3) + 1), schema.get("maximum", 2**31 - 1)
    return min(high, max(low, random.choice([1, 1, 2, 3, 4, 8])))


def _number(random: Random, schema: dict, root: dict, depth: int) -> float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1.0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2))
    return low + (high - low) * random.choice([0.1, 0.5, 0.9])


def _array(random: Random, schema: dict, root: dict, depth: int) -> list:
    if "prefixItems" in schema:
        return [instance(random, each, root, depth + 1) for each in schema["prefixItems"]]
    least = schema.get("minItems", 0)
    return [instance(random, schema.get("items", {"type": "number"}), root, depth + 1)
            for _ in range(random.randint(least, max(least, 2)))]  # fmt: skip


def _object(random: Random, schema: dict, root: dict, depth: int) -> dict:
    needed = schema.get("required", [])
    if schema.get("minProperties"):  # of names that the schema leaves open
        return {"x": instance(random, schema["additionalProperties"], root, depth + 1)}
    return {
        key: instance(random, inner, root, depth + 1)
        for key, inner in schema.get("properties", {}).items()
        if key in needed or random.random() < 0.25
    }


PLAIN: dict[str, Callable[..., Any]] = {
    "integer": _integer,
    "number": _number,
    "array": _array,
    "object": _object,
    "null": lambda *_: None,
    "boolean": lambda random, *_: random.random() < 0.5,
    "string": lambda random, *_: random.choice(["x", "y", "a", "dense_1", "loss", "weight"]),
}


def configuration(random: Random, root: dict) -> dict:
    """Return a configuration whose parts the schema allows; whether they fit one another is another matter."""
    layers = [instance(random, root["$defs"]["entry"], root) for _ in range(random.randint(1, 3))]
    config: dict = {"data": random.choice(DATA), "network": [*layers, {"dense": random.choice(["classes", 1])}]}
    for key in ("loss", "optimizer"):
        if random.random() < 0.5:
            config[key] = instance(random, root["$defs"][key], root)
    config["training"] = {"epochs": 1, "batch_size": random.choice([4, "all"])}
    return config


def mutated(random: Random, value: Any) -> Any:
    """Return a JSON value with one place changed: a bad value, a key gone, renamed or twice, a list around it."""
    value = json.loads(json.dumps(value))
    places = list(_places(value))
    if not places:
        return random.choice(BAD)
    *way, key = random.choice(places)
    parent = value
    for step in way:
        parent = parent[step]
    change = random.randrange(8)
    if change < 5:
        parent[key] = random.choice(BAD)
    elif change == 5 and isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)
    elif change == 6:
        del parent[key]
    else:
        parent[key] = [parent[key]]
    return value


def _places(value: Any, way: tuple = ()) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from _places(inner, (*way, key))


def damaged(random: Random, content: bytes) -> bytes:
    """Return bytes with a few of them changed, cut off or added."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(changed) or 1)
        change = random.randrange(4)
        if change == 0 and changed:
            changed[at] ^= 1 << random.randrange(8)
        elif change == 1:
            del changed[at:]
        elif change == 2:
            changed[at : at + 8] = bytes(8)
        else:
            changed[at:at] = random.randbytes(random.randint(1, 9))
    return bytes(changed)


CELLS = ["1", "2.5", "-3", "", "NA", "a", "b", "true", "2020-01-02", "2020-01-02T03:04:05Z", "1,5", "$7", "50%", "(3)", "1e400",
         "inf", "nan", '"q"', "日本", "=1+1", "a b", "0012", "12:30", "x" * 300, "1e-320", "9" * 40, "\x1b[31m"]  # fmt: skip
HEADS = ["a", "b", "x", "y", "label", "", " z ", "1", "date", "a", "weight", "__class__", "日本", "x_valid", "=cmd"]


def table(random: Random) -> bytes:
    """Return a small file of delimited text, often with mistakes."""
    separator = random.choice([",", ",", ";", "\t", "|"])
    columns = random.randint(1, 4)
    kinds = [random.sample(CELLS, random.randint(1, 4)) for _ in range(columns)]
    rows = [random.choices(HEADS, k=columns)] if random.random() < 0.9 else []
    rows += [[random.choice(kind) for kind in kinds] for _ in range(random.choice([0, 1, 3, 20, 40]))]
    if rows and random.random() < 0.1:
        random.choice(rows).append("extra")
    text = random.choice(["\n", "\n", "\r\n", "\r"]).join(separator.join(row) for row in rows)
    return text.encode(random.choice(["utf-8", "utf-8", "utf-16", "gb18030"]), "replace")
