"""Strategies for what a stranger may have written: records with any fields, JSON of any shape, near misses."""

import json
import types
from enum import EnumType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from messages.codec import encode
from messages.records import AnyRecord, Record

RECORD_KINDS: tuple[type[Record], ...] = get_args(AnyRecord)

ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
"""What any JSON parser takes, and infinity, which Python writes and reads as if it were JSON."""


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=12),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),  # JSON has no others
    bool: st.booleans(),
    type(None): st.none(),
}


def any_of(wanted: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 # a type, an alias or a union
    """Return values of a type that a record's field may have."""
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        return struct_of(wanted)
    if isinstance(wanted, EnumType):
        return st.sampled_from(list(wanted))
    inner = get_args(wanted)
    origin = get_origin(wanted)
    if origin is Annotated:
        return any_of(inner[0])
    if origin in {types.UnionType, Union}:
        return st.one_of(*map(any_of, inner))
    if origin is tuple:
        return st.lists(any_of(inner[0]), max_size=3).map(tuple)
    return st.dictionaries(*map(any_of, inner), max_size=3) if origin is dict else SIMPLE[wanted]


def _later(wanted: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 # as above
    """Make the strategy when it is first used: a record's field may hold records."""
    return st.deferred(lambda: any_of(wanted))


def struct_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Return structs of a kind; each field with a default is there or not. `schema_version` is this build's."""
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for each in msgspec.structs.fields(kind):
        if each.name != "schema_version":
            (required if each.required else optional)[each.name] = _later(each.type)
    return st.fixed_dictionaries(required, optional=optional).map(lambda values: kind(**values))


ANY_RECORD: st.SearchStrategy[AnyRecord] = st.sampled_from(RECORD_KINDS).flatmap(struct_of)


@st.composite
def nearly_a_record(draw: st.DrawFn) -> bytes:
    """Return a record's JSON with some places put out of order."""
    raw: Any = json.loads(encode(draw(ANY_RECORD)))
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, raw)
    return json.dumps(raw).encode()


def _spoil(draw: st.DrawFn, raw: Any) -> None:  # noqa: ANN401 # JSON
    """Put anything in the place of one value, or take it away."""
    while True:
        places = sorted(raw) if isinstance(raw, dict) else range(len(raw))
        if not places:
            return
        place = draw(st.sampled_from(places))
        if isinstance(raw[place], dict | list) and raw[place] and draw(st.booleans()):
            raw = raw[place]
        elif draw(st.booleans()):
            raw[place] = draw(ANY_JSON)
            return
        else:
            del raw[place]
            return
