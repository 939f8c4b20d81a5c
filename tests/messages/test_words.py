"""Codes are codes, each has its sentence, and a code of a newer hotdesk is read and shown as it is."""

import re

import msgspec
import pytest

from messages import codes, records, words
from messages.codec import decode, encode
from messages.codes import Code, ReasonCode
from messages.records import AliasDefect, DialerState, Incident, Ineligible, NotMoved, PhoneAlias, RankedDialer
from messages.topics import Topic
from messages.words import reason, remedy, sentence

KINDS = [
    each
    for module in (codes, records)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, Code) and each is not Code
]
WORDED = list(words.TABLES)
"""Kinds of codes that need a sentence; the others (such as `up`) are plain words already."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda each: each.__name__)
def test_a_code_is_lower_snake_case_and_named_as_it_is_written(kind: type[Code]) -> None:
    for each in kind:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", each.value), each
        assert each.value == each.name.lower()
        assert each.known


@pytest.mark.parametrize("kind", WORDED, ids=lambda each: each.__name__)
def test_each_code_has_one_sentence(kind: type[Code]) -> None:
    sentences = [words.TABLES[kind][each].sentence for each in kind]
    assert len(set(sentences)) == len(sentences)
    assert all(sentences)


def test_a_sentence_has_its_facts() -> None:
    assert reason(ReasonCode.FLEET_BRAKE, bad=2, service=3).text.startswith("2 of 3 dialers in service look bad")
    assert sentence(Ineligible.FULL) == "max_agents reached"
    assert "max_agents" in remedy(Ineligible.FULL)


def test_a_code_of_a_newer_hotdesk_is_read_and_shown_as_it_is_and_the_rest_of_its_record_too() -> None:
    alias = PhoneAlias(cluster="west", epoch=1, sequence=2, alias_id="desk", logins=("p1",))
    defects = (AliasDefect.TWO_PHONES, AliasDefect("too_long"))
    written = encode(msgspec.structs.replace(alias, defects=defects))
    read = decode(Topic.OBSERVATIONS, written)
    assert isinstance(read, PhoneAlias)
    assert (read.logins, read.defects) == (("p1",), defects)
    assert encode(read) == written
    unknown = read.defects[1]
    assert (sentence(unknown), remedy(unknown), unknown.known) == ("too_long", "", False)
    assert unknown not in set(AliasDefect)


def test_a_newer_reason_a_newer_state_and_a_newer_listing_survive() -> None:
    written = (
        b'{"record":"incident","cluster":"west","schema_version":1,"incident":"i","server_ip":"10.0.0.1","kind":"melted",'
        b'"opened_at_ms":1,"why":"heat","withheld":{"code":"too_hot","text":"it is too hot"},'
        b'"listed":[{"user":"1001","live_agent_id":7,"why":"asleep"}]}'
    )
    read = decode(Topic.INCIDENTS, written)
    assert isinstance(read, Incident)
    assert (read.kind, read.kind is DialerState.DOWN) == ("melted", False)
    assert read.withheld is not None
    assert (read.withheld.code, str(read.withheld)) == ("too_hot", "it is too hot")
    assert [sentence(each.why) for each in read.listed] == ["asleep"]
    assert NotMoved("asleep") == read.listed[0].why


def test_a_newer_reason_against_a_dialer_keeps_it_out_of_the_ranking() -> None:
    read = msgspec.json.decode(
        b'{"server_ip":"10.0.0.1","rank":null,"ineligible_because":["on_fire"],"agents":0,"slots":0,"load":0.0,"rooms_free":1}',
        type=RankedDialer,
    )
    assert list(map(sentence, read.ineligible_because)) == ["on_fire"]
