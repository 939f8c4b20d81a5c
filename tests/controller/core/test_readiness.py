"""The readiness check: each thing that a VICIdial lacks for hot-desking is found once, and has a remedy."""

import msgspec
import pytest

from controller.core.readiness import Severity, check_readiness, worst
from controller.core.state import ClusterState
from messages.records import (
    AliasDefect,
    DialerHealth,
    DialerState,
    FleetHealth,
    Grouping,
    Observation,
    Phone,
    PhoneAlias,
)
from tests.support.builders import (
    CLUSTER,
    NOW_MS,
    ONE,
    TWO,
    alias,
    campaign,
    dialer,
    folded,
    phone,
    poll,
    session,
    settings,
    slot,
)

COMPARED = msgspec.structs.replace(settings(), secrets_compared=True)


def _found(
    *more: Observation, replaced: dict[str, Phone] | None = None, logins: tuple[str, ...] = ("p1", "p2")
) -> set[str]:
    """Audit two dialers and the alias `desk` with a phone on each, and what is added."""
    phones = {"p1": phone("p1", ONE), "p2": phone("p2", TWO)} | (replaced or {})
    return _kinds(folded(COMPARED, *phones.values(), alias("desk", *logins), *more, poll(dialer(ONE), dialer(TWO))))


def _kinds(state: ClusterState) -> set[str]:
    found = check_readiness(state)
    assert all(each.what and each.remedy and each.where for each in found)
    assert len(found) == len(set(found))
    return {each.kind for each in found}


def test_nothing_is_found_where_all_is_well() -> None:
    assert _found() == set()


@pytest.mark.parametrize(
    ("login", "kinds"),
    [
        ("1001-a_b", set()),
        ("käte1001", set()),
        ("ключ", set()),
        ("1001.b", {"login_not_carried"}),
        ("1001 b", {"login_not_carried"}),
        ("x" * 20, set()),
        ("x" * 21, {"login_not_carried"}),
    ],
)
def test_a_login_that_the_hook_leaves_alone_is_found(login: str, kinds: set[str]) -> None:
    assert _found(replaced={"p2": phone(login, TWO)}, logins=("p1", login)) == kinds


@pytest.mark.parametrize(
    ("logins", "kinds"),
    [
        ((), {"few_phones"}),
        (("p1",), {"few_phones"}),
        (("p1", "p2", "p9"), {"no_such_phone"}),
        (("p1", "p2", "DESK"), {"names_itself"}),
        (("p1", "p2", "p1"), set()),
    ],
)
def test_what_an_alias_lists(logins: tuple[str, ...], kinds: set[str]) -> None:
    assert _found(logins=logins) == kinds


@pytest.mark.parametrize(
    ("second", "kinds"),
    [
        (phone("p2", "10.9.9.9"), {"no_such_dialer", "few_phones"}),
        (phone("p2", ONE), {"few_phones"}),
        (phone("p2", TWO, active=False), {"phone_inactive"}),
        (msgspec.structs.replace(phone("p2", TWO), extension="2002"), {"extensions_differ"}),
        (msgspec.structs.replace(phone("p2", TWO), protocol="SIP", peer_status="UNREGISTERED"), {"not_registered"}),
        (msgspec.structs.replace(phone("p2", TWO), protocol="EXTERNAL", peer_status="UNREGISTERED"), set()),
    ],
)
def test_what_a_phone_is(second: Phone, kinds: set[str]) -> None:
    assert _found(replaced={"p2": second}) == kinds


@pytest.mark.parametrize(
    ("defect", "kind"),
    [
        (AliasDefect.TWO_PHONES, "login_twice"),
        (AliasDefect.PASSWORDS_DIFFER, "passwords_differ"),
        (AliasDefect.SECRETS_DIFFER, "secrets_differ"),
        (AliasDefect.LIST_CUT, "list_cut"),
    ],
)
def test_what_only_the_collector_could_tell(defect: AliasDefect, kind: str) -> None:
    told = PhoneAlias(cluster=CLUSTER, epoch=1, sequence=1, alias_id="desk", logins=("p1", "p2"), defects=(defect,))
    assert _found(told) == {kind}


def test_secrets_that_may_not_be_read_are_said_not_to_be_compared() -> None:
    assert _found(settings()) == {"not_compared"}


def test_two_phones_on_one_of_two_dialers_are_one_too_many() -> None:
    assert _found(phone("p3", ONE), logins=("p1", "p2", "p3")) == {"same_dialer"}


def test_a_login_that_is_listed_twice_in_other_letters_is_one() -> None:
    assert _found(logins=("p1", "P1", "p2")) == set()


@pytest.mark.parametrize("status", ["", "UNKNOWN"])
def test_dialers_of_whose_phones_nothing_is_known_are_named(status: str) -> None:
    silent = msgspec.structs.replace(phone("p2", TWO), protocol="SIP", peer_status=status)
    assert _found(replaced={"p2": silent}) == {"registration_not_known"}
    known = msgspec.structs.replace(phone("p3", TWO), protocol="SIP", peer_status="REGISTERED")
    assert _found(known, replaced={"p2": silent}) == set()
    webphone = msgspec.structs.replace(silent, webphone=True)
    assert _found(replaced={"p2": webphone}) == set()


def test_a_phone_of_two_aliases_is_found_once() -> None:
    assert _found(alias("other", "p1", "p2")) == {"phone_shared"}


def test_a_registration_on_a_dead_dialer_is_not_trusted() -> None:
    there = msgspec.structs.replace(phone("p2", TWO), protocol="SIP", peer_status="REGISTERED")
    state = folded(COMPARED, phone("p1", ONE), there, alias("desk", "p1", "p2"), poll(dialer(ONE), dialer(TWO)))
    state.observed.health = FleetHealth(
        dialers={TWO: DialerHealth(state=DialerState.DOWN, since_ms=NOW_MS, life=DialerState.DOWN)}
    )
    assert _kinds(state) == {"registration_unknown"}


def test_who_logs_in_past_the_alias_is_named_and_who_was_picked_is_not() -> None:
    past = msgspec.structs.replace(session("1001"), typed="P1")
    assert _found(past) == {"past_alias"}
    picked = folded(
        COMPARED, phone("p1", ONE), phone("p2", TWO), alias("desk", "p1", "p2"), past, poll(dialer(ONE), dialer(TWO))
    )
    picked.add_slot(msgspec.structs.replace(slot("1001"), used_by=1))
    assert _kinds(picked) == set()


@pytest.mark.parametrize(("free", "total", "kinds"), [(0, 500, {"rooms_taken"}), (0, 0, {"no_rooms"}), (1, 500, set())])
def test_rooms(free: int, total: int, kinds: set[str]) -> None:
    short = msgspec.structs.replace(dialer(TWO), rooms=total, rooms_free=free)
    state = folded(COMPARED, phone("p1", ONE), phone("p2", TWO), alias("desk", "p1", "p2"), poll(dialer(ONE), short))
    assert _kinds(state) == kinds


def test_what_was_never_read_is_not_missing() -> None:
    without = msgspec.structs.replace(dialer(TWO), rooms=0, rooms_free=0)
    unread = msgspec.structs.replace(poll(dialer(ONE), without), rooms_known=False)
    assert _kinds(folded(COMPARED, phone("p1", ONE), unread)) == set()
    assert _kinds(folded(COMPARED, phone("p1", ONE), msgspec.structs.replace(unread, full_sequence=1))) == {"no_alias"}


def test_weights_that_leave_a_dialer_out_or_weigh_nobody() -> None:
    weighed = msgspec.structs.replace(settings(ONE=1.0, THREE=1.0), secrets_compared=True)
    assert _found(weighed) == {"no_weight", "weight_of_nobody"}


@pytest.mark.parametrize(
    ("grouping", "limit", "weighed", "kinds"),
    [
        (Grouping.DISABLED, 50, False, set()),
        (Grouping.ONE_SERVER_ONLY, 50, False, {"grouped"}),
        (Grouping.CASCADING, 1, False, {"cascade_never"}),
        (Grouping.CASCADING, 50, True, {"grouping_over_weights"}),
    ],
)
def test_grouping(grouping: Grouping, limit: int, weighed: bool, kinds: set[str]) -> None:  # one case
    weights = {"ONE": 1.0, "TWO": 1.0} if weighed else {}
    of_all = msgspec.structs.replace(settings(**weights), secrets_compared=True)
    assert _found(of_all, campaign("SALES", grouping, limit)) == kinds


def test_the_worst_decides() -> None:
    state = folded(settings(), phone("p1", ONE), alias("desk", "p1"), poll(dialer(ONE)))
    found = check_readiness(state)
    assert worst(found) is Severity.ERROR
    assert worst(each for each in found if each.severity is Severity.NOTE) is Severity.NOTE
    assert worst([]) is None


@pytest.mark.parametrize("link", [0, 2])
def test_a_screen_that_cannot_log_in_again_is_found(link: int) -> None:
    assert _found(msgspec.structs.replace(COMPARED, agent_logout_link=link)) == {"no_relogin_link"}
