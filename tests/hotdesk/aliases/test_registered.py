"""Who is registered: by the dialer's own words, and by the table only where no dialer can be asked."""

import msgspec
import pytest

from hotdesk.aliases.records import Desk, Existing, Phone
from hotdesk.aliases.registered import NO_ACCOUNT, WIDTH, Listed, Registration, lines_of, places_of
from tests.support.desks import dialers, phone

(ONE,) = dialers(1)
IP = ONE.server_ip
DESK = Desk(extension="1001", alias_id="desk1001")
GOOD = phone("1001a", IP, peer_status="REGISTERED")
WITHOUT = Listed(why=NO_ACCOUNT, account=False)

CASES = {
    "the dialer is dead, and the table says registered still": (
        GOOD,
        Listed(why="its AMI is unreachable"),
        Registration.UNKNOWN,
        "unreachable",
    ),
    "the dialer does not know it": (GOOD, Listed(phones={"sip/1002": True}), Registration.ABSENT, "has not loaded it"),
    "the dialer has it": (GOOD, Listed(phones={"sip/1001": True}), Registration.REGISTERED, ""),
    "the dialer has it, and it is away": (GOOD, Listed(phones={"sip/1001": False}), Registration.ABSENT, ""),
    "no account: the table": (GOOD, WITHOUT, Registration.REGISTERED, ""),
    "no account: the table says away": (
        phone("1001a", IP, peer_status="UNREACHABLE"),
        WITHOUT,
        Registration.ABSENT,
        "",
    ),
    "no account, and nothing in the table": (phone("1001a", IP), WITHOUT, Registration.UNKNOWN, "set ami_user"),
    "a dialer lists no IAX2 phones": (
        phone("1001a", IP, protocol="IAX2", peer_status="REGISTERED"),
        Listed(phones={}),
        Registration.UNKNOWN,
        "iax2 show peers",
    ),
    "an EXTERNAL phone never registers": (
        phone("1001a", IP, protocol="EXTERNAL"),
        Listed(phones={}),
        Registration.NOT_ASKED,
        "",
    ),
    "there is none": (None, Listed(phones={}), Registration.NO_PHONE, ""),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_known_of_a_phone(case: str) -> None:
    there, said, registration, why = CASES[case]
    phones: tuple[Phone, ...] = () if there is None else (there,)
    (place,) = places_of(Existing(dialers=(ONE,), phones=phones), [DESK], [ONE], {IP: said})
    assert place.registration is registration
    assert why in place.why
    assert bool(place.why) == bool(why)


def test_what_is_missing_is_a_line_a_desk_and_a_line_a_phone() -> None:
    there = tuple(
        msgspec.structs.replace(each, server_id=f"dialer-{at:03}", server_ip=f"192.168.101.{at}")
        for at, each in enumerate(dialers(3), 101)
    )
    one, two, three = (each.server_ip for each in there)
    desks = [DESK, Desk(extension="1002", alias_id="desk1002"), Desk(extension="1003", alias_id="desk1003")]
    phones = (
        phone("1001a", one, peer_status="REGISTERED"),
        phone("1001b", two),
        phone("1001c", three),
        *(phone(f"1002{at}", ip, "1002", peer_status="REGISTERED") for at, ip in enumerate((one, two, three))),
        phone("1003a", one, "1003", protocol="EXTERNAL"),
        phone("1003c", three, "1003"),
    )
    listed = {
        one: WITHOUT,
        two: WITHOUT,
        three: Listed(phones={"sip/1001": False, "sip/1002": True}),
    }
    said = list(lines_of(places_of(Existing(dialers=there, phones=phones), desks, there, listed), listed))
    assert said == [
        "dialer-101 (192.168.101.101), dialer-102 (192.168.101.102): without an AMI",
        "  account it goes by phones.peer_status: set ami_user",
        "desk1001 (1001): registered on 1 of 3 dialers",
        "  dialer-102 (192.168.101.102): not known",
        "  dialer-103 (192.168.101.103): not registered",
        "desk1003 (1003): registered on 0 of 2 dialers",
        "  dialer-102 (192.168.101.102): no phone",
        "  dialer-103 (192.168.101.103): not registered: the dialer has not loaded it",
    ]
    assert max(map(len, said)) <= WIDTH
