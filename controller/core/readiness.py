"""The readiness check: what a VICIdial lacks for hot-desking. Pure; each finding says how to mend it.

A collector compares secrets, and reports only that they differ (`AliasDefect`); all else follows from the state.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from controller.core.ranking import NOT_JUDGED, REGISTERING, known_absent
from controller.core.state import ClusterState
from messages.names import compared
from messages.records import NO_PEER_STATUS, AliasDefect, DialerState, Grouping, Phone, PhoneAlias, ServerIp
from messages.words import remedy, sentence

LEAST_DIALERS = 2
LEAST_CASCADE = 2
LONGEST_LOGIN = 20
"""Signs, as in VICIdial's login form."""
SLICE = 500
"""Aliases to check in one go: too few for a login to notice."""


class Severity(StrEnum):
    """The weight of a finding."""

    ERROR = "error"
    """Some agent cannot log in, or cannot be moved."""
    WARNING = "warning"
    """It works today, by luck."""
    NOTE = "note"
    """Worth knowing."""


class ReadinessFinding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that hot-desking needs and that is missing or wrong."""

    severity: Severity
    kind: str
    """A code, the same for all findings of its kind."""
    where: str
    """The alias, dialer, campaign or agent."""
    what: str
    remedy: str


WITH_PASSWORDS = 1
"""VICIdial's `system_settings.agent_logout_link`, where the page after a logout has a link that logs in again."""

_KINDS = {AliasDefect.TWO_PHONES: "login_twice"}
"""The kind of the finding for an alias defect; any other defect's code is its kind."""


def check_readiness(state: ClusterState) -> list[ReadinessFinding]:
    """Return all findings at once; `readiness_slices` yields them in parts."""
    return [finding for part in readiness_slices(state) for finding in part]


def readiness_slices(state: ClusterState) -> Iterator[list[ReadinessFinding]]:
    """Yield the findings of a cluster in parts; the state may change in between."""
    yield [*_cluster_findings(state), *_dialer_findings(state), *_campaign_findings(state)]
    yield list(_registration_findings(state))
    names = sorted(state.observed.aliases)
    holders: Counter[str] = Counter()
    for begin in range(0, len(names), SLICE):
        aliases = [
            state.observed.aliases[name] for name in names[begin : begin + SLICE] if name in state.observed.aliases
        ]
        holders.update(login for alias in aliases for login in {compared(each) for each in alias.logins})
        yield [finding for alias in aliases for finding in alias_findings(state, alias)]
    yield list(_shared_phones(holders))
    yield list(_past_alias(state, holders))


def worst(findings: Iterable[ReadinessFinding]) -> Severity | None:
    """Return the highest severity; None: no findings."""
    found = {finding.severity for finding in findings}
    return next((severity for severity in Severity if severity in found), None)


def alias_findings(state: ClusterState, alias: PhoneAlias) -> Iterator[ReadinessFinding]:
    """Yield the findings of one alias."""
    where = f"alias {alias.alias_id}"
    phones: list[Phone] = []
    for login in {compared(each): each for each in reversed(alias.logins)}.values():
        phone = state.observed.phones.get(compared(login))
        if phone is not None:
            phones.append(phone)
        elif compared(login) == compared(alias.alias_id):
            yield _error("names_itself", where, "it lists itself, which is not a phone", "list phone logins only")
        else:
            yield _error("no_such_phone", where, f"no phone has its login {login}", "create the phone, or unlist it")
    there = {phone.server_ip for phone in phones if phone.server_ip in state.observed.dialers}
    if len(there) < LEAST_DIALERS:
        on = ", all on one dialer" if len(phones) > 1 and there else ""
        what = f"it stands for {len(phones)} phone{'' if len(phones) == 1 else 's'}{on}: the agent cannot be moved"
        yield _error("few_phones", where, what, "create a phone for the agent on a second dialer, and list it")
    for phone in phones:
        yield from _phone_findings(state, where, phone)
    for server_ip, count in Counter(phone.server_ip for phone in phones).items():
        if count > 1 and len(there) >= LEAST_DIALERS:
            what = f"{count} of its phones are on {server_ip}"
            yield _warning("same_dialer", where, what, "one phone on each dialer is enough: unlist the others")
    if len({phone.extension.lower() for phone in phones}) > 1:
        yield _warning(
            "extensions_differ",
            where,
            "its phones have different extensions",
            "set the same extension for all, so that one softphone account fits all dialers",
        )
    for defect in alias.defects:
        yield _error(_KINDS.get(defect, defect.value), where, sentence(defect), remedy(defect))


def _phone_findings(state: ClusterState, where: str, phone: Phone) -> Iterator[ReadinessFinding]:
    on = f"its phone {phone.login} on {phone.server_ip}"
    dialer = state.observed.dialers.get(phone.server_ip)
    if dialer is None:
        yield _error("no_such_dialer", where, f"{on}: there is no such server", "correct the phone's server_ip")
        return
    if not _is_carried(phone.login):
        what = (
            f"{on} has signs in its login that VICIdial's page does not carry: the login hook leaves such a pick alone"
        )
        yield _warning("login_not_carried", where, what, "rename it: letters, digits, - and _, at most 20")
    if not phone.active:
        yield _error("phone_inactive", where, f"{on} is not active", "set the phone active, or unlist it")
    life = state.observed.health.dialers.get(phone.server_ip, NOT_JUDGED).life
    if life is DialerState.DOWN:
        if phone.peer_status:
            what = f"{on} is {phone.peer_status} by the database, but that dialer is down"
            yield _note("registration_unknown", where, what, "none: it counts again when the dialer is back")
    elif dialer.active and known_absent(phone):
        yield _warning(
            "not_registered",
            where,
            f"{on} is {phone.peer_status}",
            "have the softphone register on every dialer of the alias, and stay registered",
        )


def _is_carried(login: str) -> bool:
    """Return True if the login page can be given a phone's login: the rule of `hook/hotdesk-hook.php`."""
    return 0 < len(login) <= LONGEST_LOGIN and all(
        sign in "-_0123456789" or unicodedata.category(sign).startswith("L") for sign in login
    )


def _shared_phones(holders: Counter[str]) -> Iterator[ReadinessFinding]:
    for login, count in sorted(holders.items()):
        if count > 1:
            what = f"{count} aliases list it: two agents could get the same phone"
            yield _warning("phone_shared", f"phone {login}", what, "list each phone in one alias")


def _past_alias(state: ClusterState, holders: Counter[str]) -> Iterator[ReadinessFinding]:
    for name, session in sorted(state.observed.agents.items()):
        login = state.decided.logins.get(name)
        by_alias = login is not None and compared(login.alias_id) in state.observed.aliases
        if not session.remote and not by_alias and compared(session.typed) in holders:
            yield _note(
                "past_alias",
                f"agent {session.user}",
                f"logged in as phone {session.typed}, though an alias lists it",
                "have them type the alias, or hotdesk never picks their dialer",
            )


def _dialer_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    weights = {} if state.observed.settings is None else state.observed.settings.weights
    for server_ip, dialer in sorted(state.observed.dialers.items()):
        where = f"dialer {server_ip}"
        if not dialer.asterisk or not (dialer.active and dialer.agent_logins):
            continue
        if dialer.rooms == 0 and state.observed.rooms_known:
            yield _error("no_rooms", where, "it has no conference rooms", "add rooms for this server in VICIdial")
        elif dialer.rooms and dialer.rooms_free == 0:
            what = f"all {dialer.rooms} conference rooms are taken"
            yield _warning("rooms_taken", where, what, "add rooms, or free those without an agent")
        if weights and server_ip not in weights:
            yield _warning(
                "no_weight",
                where,
                "AGENT_LOAD_BALANCING_WEIGHT omits it, so it looks a thousand times as loaded as it is",
                "add a line for it there, or empty the container",
            )
    for server_ip in sorted(weights.keys() - state.observed.dialers.keys()):
        what = "AGENT_LOAD_BALANCING_WEIGHT has a line for it, and there is no such server"
        yield _note("weight_of_nobody", f"dialer {server_ip}", what, "remove the line")


def _registration_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    """Yield a finding for each dialer whose phones' registration is not known, and so was not checked."""
    known, unknown = set[ServerIp](), set[ServerIp]()
    for phone in state.observed.phones.values():
        if phone.protocol.upper() in REGISTERING and not phone.webphone:
            (unknown if phone.peer_status.upper() in NO_PEER_STATUS else known).add(phone.server_ip)
    for server_ip in sorted((unknown - known) & state.observed.dialers.keys()):
        what = "it is not known which of its phones are registered"
        how = (
            "have VICIdial's manager listener write phones.peer_status there, or give hotdesk an AMI account with the"
            " permission reporting, which tells of SIP and PJSIP phones"
        )
        yield _note("registration_not_known", f"dialer {server_ip}", what, how)


def _campaign_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    for campaign in state.observed.campaigns.values():
        if campaign.grouping is Grouping.DISABLED:
            continue
        where = f"campaign {campaign.campaign_id}"
        if campaign.grouping is Grouping.CASCADING and campaign.grouping_limit < LEAST_CASCADE:
            what = f"its pllb_grouping_limit is {campaign.grouping_limit}, so CASCADING never groups any agents"
            yield _warning("cascade_never", where, what, "raise the limit, or set pllb_grouping to DISABLED")
        elif state.observed.weight_shares:
            what = f"pllb_grouping is {campaign.grouping}, which chooses before any weight counts"
            yield _warning("grouping_over_weights", where, what, "use one or the other")
        else:
            what = f"pllb_grouping is {campaign.grouping}: its agents gather on one dialer, and fall with it"
            yield _note("grouped", where, what, "set it to DISABLED if they should be spread")


def _cluster_findings(state: ClusterState) -> Iterator[ReadinessFinding]:
    if state.observed.settings is not None and state.observed.settings.agent_logout_link != WITH_PASSWORDS:
        what = (
            f"agent_logout_link is {state.observed.settings.agent_logout_link}: a screen that is logged out has no link"
        )
        remedy = "set Agent Logout Link to 1 in VICIdial's System Settings, or agents who are moved log in by hand"
        yield _warning("no_relogin_link", "database", f"{what} by which it logs in again", remedy)
    if state.observed.settings is not None and not state.observed.settings.secrets_compared:
        what = "hotdesk may not read the phones' passwords and secrets, so it did not compare them"
        yield _note("not_compared", "database", what, "run collectors/grants-readiness.sql if it should")
    poll = state.observed.poll
    was_read = poll is not None and poll.full_sequence is not None
    if was_read and state.observed.phones and not state.observed.aliases:
        yield _error(
            "no_alias", "database", "there is no phone alias", "create one for each agent: docs/guide/aliases.md"
        )


def _error(kind: str, where: str, what: str, remedy: str) -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.ERROR, kind=kind, where=where, what=what, remedy=remedy)


def _warning(kind: str, where: str, what: str, remedy: str) -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.WARNING, kind=kind, where=where, what=what, remedy=remedy)


def _note(kind: str, where: str, what: str, remedy: str) -> ReadinessFinding:
    return ReadinessFinding(severity=Severity.NOTE, kind=kind, where=where, what=what, remedy=remedy)
