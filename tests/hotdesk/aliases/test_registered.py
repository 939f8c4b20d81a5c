"""Who is registered: by the dialer's own words, and by the table only where no dialer can be asked."""

import pytest

from hotdesk.aliases.records import Desk, Existing, Phone
from hotdesk.aliases.registered import Listed, Registration, places_of
from tests.support.desks import dialers, phone

(ONE,) = dialers(1)
IP = ONE.server_ip
DESK = Desk(extension="1001", alias_id="desk1001")
GOOD = phone("1001a", IP, peer_status="REGISTERED")
NO_ACCOUNT = Listed(why="there is no AMI account for it: set ami_user", account=False)

CASES = {
    "the dialer is dead, and the table says registered still": (
        GOOD,
        Listed(why="its AMI is unreachable"),
        Registration.UNKNOWN,
        "unreachable",
    ),
    "the dialer does not know it": (GOOD, Listed(phones={"sip/1002": True}), Registration.ABSENT, "does not know it"),
    "the dialer has it": (GOOD, Listed(phones={"sip/1001": True}), Registration.REGISTERED, ""),
    "the dialer has it, and it is away": (GOOD, Listed(phones={"sip/1001": False}), Registration.ABSENT, ""),
    "no account: the table": (GOOD, NO_ACCOUNT, Registration.REGISTERED, ""),
    "no account: the table says away": (
        phone("1001a", IP, peer_status="UNREACHABLE"),
        NO_ACCOUNT,
        Registration.ABSENT,
        "",
    ),
    "no account, and nothing in the table": (phone("1001a", IP), NO_ACCOUNT, Registration.UNKNOWN, "set ami_user"),
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
