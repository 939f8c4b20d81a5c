"""What hot-desking needs of a VICIdial, and where this one lacks it. Pure; each finding says how to mend it.

A collector compares what is secret, and says only that it differs (`AliasDefect`); all else follows from the state.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from controller.core.ranking import NOT_JUDGED, REGISTERING, known_absent
from controller.core.state import ClusterState
from messages.records import NO_PEER_STATUS, AliasDefect, DialerState, Grouping, Phone, PhoneAlias, ServerIp

LEAST_DIALERS = 2
LEAST_CASCADE = 2
SLICE = 500
"""Aliases that are looked at in one go: fewer than a login would notice."""


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Somebody cannot log in, or cannot be moved."""
    WARNING = "warning"
    """It works today, by luck."""
    NOTE = "note"
    """Worth knowing."""


class ReadinessFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as hot-desking needs it."""

    severity: Severity
    kind: str
    """One of a short list, the same for all findings of its sort."""
    where: str
    """The alias, dialer, campaign or agent."""
    what: str
    remedy: str


_DEFECTS = {
    AliasDefect.TWO_PHONES: ("login_twice", "give each phone a login of its own"),
    AliasDefect.PASSWORDS_DIFFER: (
        "passwords_differ",
        "set the same login password for all: the page lets in only those whose password was typed",
    ),
    AliasDefect.SECRETS_DIFFER: (
        "secrets_differ",
        "set the same registration password for all, or the agent's softphone cannot register on each",
    ),
    AliasDefect.LIST_CUT: ("list_cut", "use shorter logins, or fewer phones"),
}


def audit(state: ClusterState) -> list[ReadinessFinding]:
    """Look at everything at once; `readiness_slices` does so a part at a time."""
    return [finding for part in readiness_slices(state) for finding in part]


def readiness_slices(state: ClusterState) -> Iterator[list[ReadinessFinding]]:
    """Look at a cluster, and give what was found so far every now and then; the state may change in between."""
    yield [*_cluster_findings(state), *_dialer_findings(state), *_campaign_findings(state)]
    yield list(_registration_findings(state))
    names = sorted(state.observed.aliases)
    holders: Counter[str] = Counter()
    for begin in range(0, len(names), SLICE):
        aliases = [
            state.observed.aliases[name] for name in names[begin : begin + SLICE] if name in state.observed.aliases
        ]
        holders.update(login for alias in aliases for login in {each.lower() for each in alias.logins})
        yield [finding for alias in aliases for finding in alias_findings(state, alias)]
    yield list(_shared_phones(holders))
    yield list(_past_alias(state, holders))


def worst(findings: Iterable[ReadinessFinding]) -> Severity | None:
    """Give the highest severity; None: nothing was found."""
    found = {finding.severity for finding in findings}
    return next((severity for severity in Severity if severity in found), None)


def alias_findings(state: ClusterState, alias: PhoneAlias) -> Iterator[ReadinessFinding]:
    """Look at one alias."""
    where = f"alias {alias.alias_id}"
    phones: list[Phone] = []
    for login in {each.lower(): each for each in reversed(alias.logins)}.values():
        phone = state.observed.phones.get(login.lower())
        if phone is not None:
            phones.append(phone)
        elif login.lower() == alias.alias_id.lower():
            yield _error("names_itself", where, "it names itself, which is no phone", "list phone logins only")
        else:
            yield _error("no_such_phone", where, f"no phone has its login {login}", "make the phone, or unlist it")
    there = {phone.server_ip for phone in phones if phone.server_ip in state.observed.dialers}
    if len(there) < LEAST_DIALERS:
        on = ", all on one dialer" if len(phones) > 1 and there else ""
        what = f"it stands for {len(phones)} phone{'' if len(phones) == 1 else 's'}{on}: there is nowhere to move to"
        yield _error("few_phones", where, what, "give the agent a phone on a second dialer, and list it")
    for phone in phones:
        yield from _phone_findings(state, where, phone)
    for server_ip, count in Counter(phone.server_ip for phone in phones).items():
        if count > 1 and len(there) >= LEAST_DIALERS:
            what = f"{count} of its phones are on {server_ip}"
            yield _warning("same_dialer", where, what, "one phone a dialer is enough: unlist the others")
    if len({phone.extension.lower() for phone in phones}) > 1:
        yield _warning(
            "extensions_differ",
            where,
            "its phones have different extensions",
            "give them the same, so that one softphone account fits all dialers",
        )
    for defect in alias.defects:
        kind, remedy = _DEFECTS[defect]
        yield _error(kind, where, defect.value, remedy)


def _phone_findings(state: ClusterState, where: str, phone: Phone) -> Iterator[ReadinessFinding]:
    on = f"its phone {phone.login} on {phone.server_ip}"
    dialer = state.observed.dialers.get(phone.server_ip)
    if dialer is None:
        yield _error("no_such_dialer", where, f"{on}: there is no such server", "correct the phone's server_ip")
        return
    if not phone.active:
        yield _error("phone_inactive", where, f"{on} is not active", "set the phone active, or unlist it")
    life = state.observed.health.dialers.get(phone.server_ip, NOT_JUDGED).life
    if life is DialerState.DOWN:
        if phone.peer_status:
            what = f"{on} is said to be {phone.peer_status}, but that dialer is down"
            yield _note("registration_unknown", where, what, "nothing: it is believed again when the dialer is back")
    elif dialer.active and known_absent(phone):
        yield _warning(
            "not_registered",
            where,
            f"{on} is {phone.peer_status}",
            "have the softphone register on every dialer of the alias, and stay registered",
        )


def _shared_phones(holders: Counter[str]) -> Iterator[ReadinessFinding]:
    for login, count in sorted(holders.items()):
        if count > 1:
            what = f"{count} aliases list it: two agents could be given the same phone"
            yield _warning("phone_shared", f"phone {login}", what, "list each phone in one alias")


def _past_alias(state: ClusterState, holders: Counter[str]) -> Iterator[ReadinessFinding]:
    for name, session in sorted(state.observed.agents.items()):
        login = state.decided.logins.get(name)
        by_alias = login is not None and login.alias_id.lower() in state.observed.aliases
        if not session.remote and not by_alias and session.typed.lower() in holders:
            yield _note(
                "past_alias",
                f"agent {session.user}",
                f"logged in as phone {session.typed}, though an alias lists it",
                "have them type the alias, or their dialer is never chosen",
            )


def _dialer_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    weights = {} if state.observed.settings is None else state.observed.settings.weights
    for server_ip, dialer in sorted(state.observed.dialers.items()):
        where = f"dialer {server_ip}"
        if not dialer.asterisk or not (dialer.active and dialer.agent_logins):
            continue
        if dialer.rooms == 0:
            yield _error("no_rooms", where, "it has no conference rooms", "add rooms for this server in VICIdial")
        elif dialer.rooms_free == 0:
            what = f"all {dialer.rooms} conference rooms are taken"
            yield _warning("rooms_taken", where, what, "add rooms, or free those that nobody sits in")
        if weights and server_ip not in weights:
            yield _warning(
                "no_weight",
                where,
                "AGENT_LOAD_BALANCING_WEIGHT leaves it out, so it looks a thousand times as loaded as it is",
                "give it a line there, or empty the container",
            )
    for server_ip in sorted(weights.keys() - state.observed.dialers.keys()):
        what = "AGENT_LOAD_BALANCING_WEIGHT weighs it, and there is no such server"
        yield _note("weight_of_nobody", f"dialer {server_ip}", what, "take the line out")


def _registration_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    """Name the dialers of whose phones nobody says whether they are registered: that was not looked at, then."""
    said, silent = set[ServerIp](), set[ServerIp]()
    for phone in state.observed.phones.values():
        if phone.protocol.upper() in REGISTERING and not phone.webphone:
            (silent if phone.peer_status.upper() in NO_PEER_STATUS else said).add(phone.server_ip)
    for server_ip in sorted((silent - said) & state.observed.dialers.keys()):
        what = "nothing is known of whether its phones are registered"
        remedy = "have VICIdial's manager listener write phones.peer_status there, or give hotdesk an AMI account"
        yield _note("registration_not_known", f"dialer {server_ip}", what, remedy)


def _campaign_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    for campaign in state.observed.campaigns.values():
        if campaign.grouping is Grouping.DISABLED:
            continue
        where = f"campaign {campaign.campaign_id}"
        if campaign.grouping is Grouping.CASCADING and campaign.grouping_limit < LEAST_CASCADE:
            what = f"its pllb_grouping_limit is {campaign.grouping_limit}, so CASCADING never groups anybody"
            yield _warning("cascade_never", where, what, "raise the limit, or set pllb_grouping to DISABLED")
        elif state.observed.weight_shares:
            what = f"pllb_grouping is {campaign.grouping}, which chooses before any weight is looked at"
            yield _warning("grouping_over_weights", where, what, "use the one or the other")
        else:
            what = f"pllb_grouping is {campaign.grouping}: its agents gather on one dialer, and fall with it"
            yield _note("grouped", where, what, "set it to DISABLED, if they should be spread")


def _cluster_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    if state.observed.settings is not None and not state.observed.settings.secrets_compared:
        what = "the phones' passwords and secrets may not be read, so they were not compared"
        yield _note("not_compared", "database", what, "run collectors/grants-readiness.sql, if they should be")
    if state.observed.phones and not state.observed.aliases:
        yield _error(
            "no_alias", "database", "there is no phone alias", "make one for each agent: docs/guide/hot-desking.md"
        )


def _error(kind: str, where: str, what: str, remedy: str) -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.ERROR, kind=kind, where=where, what=what, remedy=remedy)


def _warning(kind: str, where: str, what: str, remedy: str) -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.WARNING, kind=kind, where=where, what=what, remedy=remedy)


def _note(kind: str, where: str, what: str, remedy: str) -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.NOTE, kind=kind, where=where, what=what, remedy=remedy)
