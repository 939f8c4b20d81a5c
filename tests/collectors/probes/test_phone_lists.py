"""Lists of phones: each entry is a phone that registers or none, and whatever comes ends no round too early."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.probes.phone_lists import LISTS, MOST_PHONES, Message, PhoneLists


def listed(*entries: Message) -> dict[str, bool] | None:
    """Return what the lists say, each made of those of the entries that are its own."""
    lists = PhoneLists()
    lists.begin()
    for each in LISTS:
        assert lists.under_way == each.action
        assert not lists.read({"response": "Success"})
        for entry in entries:
            if entry["event"] == each.entry:
                assert not lists.read(entry)
        assert lists.read({"event": each.end})
    assert lists.under_way == ""
    return None if lists.registered is None else dict(lists.registered)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"ipaddress": "192.0.2.1", "status": "OK (3 ms)"}, {"SIP/2001": True}),
        ({"ipaddress": "192.0.2.1", "status": "Unmonitored"}, {"SIP/2001": True}),
        ({"ipaddress": "192.0.2.1", "status": "UNREACHABLE"}, {"SIP/2001": False}),
        ({"ipaddress": "-none-", "status": "UNKNOWN"}, {"SIP/2001": False}),
        ({}, {"SIP/2001": False}),
        ({"dynamic": "no", "ipaddress": "192.0.2.1"}, {}),
    ],
)
def test_a_peer_of_chan_sip(entry: dict[str, str], told: dict[str, bool]) -> None:
    assert listed({"event": "PeerEntry", "objectname": "2001", "dynamic": "yes", **entry}) == told


@pytest.mark.parametrize(
    ("device", "state", "told"),
    [
        ("PJSIP/2001", "NOT_INUSE", {"PJSIP/2001": True}),
        ("PJSIP/2001", "INUSE", {"PJSIP/2001": True}),
        ("PJSIP/2001", "Unavailable", {"PJSIP/2001": False}),
        ("PJSIP/2001", "UNKNOWN", {}),
        ("PJSIP/2001", "INVALID", {}),
        ("SIP/2001", "NOT_INUSE", {}),
        ("Custom:lamp", "NOT_INUSE", {}),
    ],
)
def test_a_device(device: str, state: str, told: dict[str, bool]) -> None:
    assert listed({"event": "DeviceStateChange", "device": device, "state": state}) == told


def test_a_round_in_which_nothing_may_be_asked_tells_nothing_and_the_next_asks_nothing() -> None:
    lists = PhoneLists()
    for _ in LISTS:
        lists.begin()
        assert lists.read({"response": "Error", "message": "Permission denied"})
    assert lists.registered is None
    lists.begin()
    assert lists.under_way == ""


def test_a_list_is_kept_up_to_a_bound() -> None:
    peers = ({"event": "PeerEntry", "objectname": str(at), "dynamic": "yes"} for at in range(MOST_PHONES + 2))
    assert len(listed(*peers) or {}) == MOST_PHONES


WORDS = st.sampled_from(
    ["Success", "Error", "PeerEntry", "PeerlistComplete", "DeviceStateChange", "DeviceStateListComplete", "yes", "x"]
)
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["response", "event", "dynamic", "objectname", "device", "state"]), WORDS)
)


@given(MESSAGES)
def test_any_messages(messages: list[dict[str, str]]) -> None:
    lists, rounds = PhoneLists(), 0
    for message in messages:
        lists.begin()
        if not lists.under_way:
            break
        ended = lists.read(message)
        rounds += ended and not lists.under_way
        assert rounds or lists.registered is None
