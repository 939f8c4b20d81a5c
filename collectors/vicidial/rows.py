"""Decode VICIdial's rows.

Everything arrives as bytes, since the tables contain whatever was written over fifteen years: NULL where it should not
be, text in two encodings, impossible dates. An oddity is counted by kind and reported, and never stops a poll.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from math import isfinite
from types import MappingProxyType
from typing import NamedTuple

from messages.codes import Odd
from messages.names import compared
from messages.records import NO_PEER_STATUS, AgentStatus, AliasDefect, Grouping, ServerIp

Row = tuple[bytes | None, ...]
"""One row, its columns in the order of the statement that read it."""
SessionRow = bytes | Row
"""A row of `agents.sql`: packed, as it came, or in columns."""


LARGEST = 2**53
"""The largest number in a record; no column of VICIdial's that is read here has as much."""

WEIGHT_LINE = re.compile(r"(?P<server_ip>\d{1,3}(?:\.\d{1,3}){3})\s*,\s*(?P<weight>\d+)", re.ASCII)
"""The beginning of a line of weights that counts; VICIdial ignores the rest of that line, and skips any other."""

LISTED = frozenset({"SIP", "PJSIP"})
"""Protocols whose registered phones a dialer lists."""

LEAST_TWIN = 5
"""The least length of a twin's address, blanks and all; VICIdial takes a shorter one, such as NONE, for none."""

OddRows = Counter[Odd]


class DialerRow(NamedTuple):
    """A row of `servers`."""

    server_ip: ServerIp
    server_id: str
    description: str
    active: bool
    agent_logins: bool
    asterisk: bool
    twin_server_ip: ServerIp
    confbridge: bool


class HeartbeatRow(NamedTuple):
    """A row of `server_updater`. `value` is only ever compared with the previous one."""

    server_ip: ServerIp
    value: tuple[bytes | None, bytes | None]
    age_seconds: float | None


class AgentRow(NamedTuple):
    """A row of `vicidial_live_agents`."""

    live_agent_id: int
    user: str
    server_ip: ServerIp
    extension: str
    conf_exten: str
    status: AgentStatus
    campaign_id: str
    call_server_ip: ServerIp
    external_pause: str
    on_hook: bool
    lead_id: int

    @property
    def remote(self) -> bool:
        """True for a remote agent, by VICIdial's own mark, in either case."""
        return self.extension[:1] in {"R", "r"}


AGENT_COLUMNS = len(AgentRow._fields)


class LoginRow(NamedTuple):
    """A LOGIN row of `vicidial_user_log`."""

    server_ip: ServerIp
    typed: str


class PhoneRow(NamedTuple):
    """A row of `phones`."""

    login: str
    server_ip: ServerIp
    extension: str
    active: bool
    protocol: str
    webphone: bool
    peer_status: str


class AliasRow(NamedTuple):
    """A row of `phones_alias`."""

    alias_id: str
    name: str
    logins: tuple[str, ...]
    defects: tuple[AliasDefect, ...] = ()


LIST_CHARACTERS = 255
"""The length of `phones_alias.logins_list`."""


class Marks(NamedTuple):
    """Marks of a login's secrets: they show, in this process, which secrets are equal, and nothing else."""

    password: int
    secret: int


NO_MARKS: Mapping[str, Marks] = MappingProxyType({})


class CampaignRow(NamedTuple):
    """A row of `vicidial_campaigns`."""

    campaign_id: str
    grouping: Grouping
    grouping_limit: int


class SettingsRow(NamedTuple):
    """`system_settings`, the weight container, and the columns that the schema lacks."""

    grouping_limit: int
    agent_logout_link: int
    weights: tuple[tuple[ServerIp, float], ...]
    missing_columns: tuple[str, ...]
    secrets_compared: bool = False


class Rooms(NamedTuple):
    """Conference rooms of one server in one table."""

    total: int
    free: int


def text(value: bytes | None, odd: OddRows) -> str:
    """Return a text column; NULL is empty."""
    if value is None:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        odd[Odd.BAD_TEXT] += 1
        return value.decode(errors="replace")


def key(value: bytes | None, odd: OddRows) -> str:
    """Return a text column that rows are compared by, without the blanks at its end, which VICIdial's SQL ignores."""
    return text(value, odd).rstrip(" ")


def number(value: bytes | None, default: int, odd: OddRows) -> int:
    """Return a whole number; NULL is the default."""
    if value is None:
        return default
    try:
        read = int(value)
    except ValueError:
        read = None
    if read is None or abs(read) > LARGEST:
        odd[Odd.BAD_NUMBER] += 1
        return default
    return read


def counted(odd: Iterable[OddRows]) -> dict[str, int]:
    """Return how many rows of each kind are odd, by the code of the kind."""
    return {kind.value: count for kind, count in sum(filter(None, odd), OddRows()).items()}


def dialers(rows: Iterable[Row], odd: OddRows) -> dict[ServerIp, DialerRow]:
    """Decode `dialers.sql`."""
    read = {}
    for ip, name, description, active, logins, asterisk, twin, engine in rows:
        server_ip = key(ip, odd)
        if not server_ip:
            odd[Odd.NULL_KEY] += 1
            continue
        read[server_ip] = DialerRow(
            server_ip,
            text(name, odd),
            text(description, odd),
            active == b"Y",
            logins == b"Y",
            asterisk == b"Y",
            key(twin, odd) if len(twin or b"") >= LEAST_TWIN else "",
            engine == b"CONFBRIDGE",
        )
    return read


def heartbeats(rows: Iterable[Row], known: dict[ServerIp, DialerRow], odd: OddRows) -> dict[ServerIp, HeartbeatRow]:
    """Decode `heartbeats.sql`, for `known` servers."""
    read = {}
    for ip, last_update, db_time, age in rows:
        server_ip = key(ip, odd)
        if server_ip not in known:
            odd[Odd.HEARTBEAT_WITHOUT_SERVER] += 1
            continue
        is_date = last_update is not None and not last_update.startswith(b"0000")
        age_seconds = _seconds(age) if is_date else None
        if age_seconds is None:
            odd[Odd.HEARTBEAT_NO_DATE] += 1
        read[server_ip] = HeartbeatRow(server_ip, (last_update, db_time), age_seconds)
    return read


def unpacked(line: bytes, columns: int) -> Row:
    """Return the columns of a packed row.

    A text that contains a separator breaks its row: the row, or each piece of it, is read as one without a key.
    """
    row = tuple(line.split(b"\x1f"))
    return row if len(row) == columns else (None,) * columns


def agent(row: SessionRow, odd: OddRows) -> AgentRow | None:
    """Decode one row of `agents.sql`, packed or not; None: it has no user."""
    if isinstance(row, bytes):
        row = unpacked(row, AGENT_COLUMNS)
    live_agent_id, user, server_ip, extension, conf_exten, status, campaign, call_server_ip, pause, on_hook, lead = row
    name = key(user, odd)
    if not name:
        odd[Odd.NULL_KEY] += 1
        return None
    try:
        known_status = AgentStatus(text(status, odd))
    except ValueError:
        odd[Odd.UNKNOWN_STATUS] += 1
        known_status = AgentStatus.OTHER
    return AgentRow(
        number(live_agent_id, 0, odd),
        name,
        key(server_ip, odd),
        key(extension, odd),
        key(conf_exten, odd),
        known_status,
        key(campaign, odd),
        key(call_server_ip, odd),
        text(pause, odd),
        on_hook == b"Y",
        number(lead, 0, odd),
    )


def logins(rows: Iterable[Row]) -> dict[str, LoginRow]:
    """Decode `logins.sql`, oldest first, by user. A row without a user is skipped, and not counted as odd."""
    ignored = OddRows()
    read = {}
    for _, user, server_ip, typed in rows:
        name = key(user, ignored)
        if name:
            read[compared(name)] = LoginRow(key(server_ip, ignored), key(typed, ignored))
    return read


def work(rows: Iterable[Row]) -> dict[ServerIp, int]:
    """Decode `work.sql`; a dialer without a row has done none."""
    ignored = OddRows()
    return {key(ip, ignored): number(count, 0, ignored) for ip, count in rows}


def silent_screens(rows: Iterable[Row]) -> dict[int, int]:
    """Decode `silent_screens.sql`: by session, how many seconds its screen has been silent."""
    ignored = OddRows()
    return {number(session, 0, ignored): number(seconds, 0, ignored) for session, seconds in rows}


def lost_screens(rows: Iterable[Row]) -> frozenset[tuple[str, ServerIp]]:
    """Decode `lost_screens.sql`: users and dialers of logins whose screen VICIdial no longer knows."""
    ignored = OddRows()
    return frozenset((compared(text(user, ignored)), key(ip, ignored)) for user, ip in rows)


def channels(rows: Iterable[Row]) -> frozenset[tuple[ServerIp, str]]:
    """Decode `channels.sql`: the rooms in which there is somebody."""
    ignored = OddRows()
    return frozenset((key(ip, ignored), key(extension, ignored)) for ip, extension in rows)


def rooms(rows: Iterable[Row], odd: OddRows) -> dict[ServerIp, Rooms]:
    """Decode `conferences.sql` or `confbridges.sql`."""
    return {key(ip, odd): Rooms(number(total, 0, odd), number(free, 0, odd)) for ip, total, free in rows}


def phones(rows: Iterable[Row], known: dict[ServerIp, DialerRow], odd: OddRows) -> dict[str, PhoneRow]:
    """Decode `phones.sql` by login, as VICIdial compares logins.

    Of two phones with one login the active one counts, or else the first by server.
    """
    read: dict[str, PhoneRow] = {}
    for login, server_ip, extension, active, protocol, webphone, peer_status in rows:
        phone = PhoneRow(
            key(login, odd),
            key(server_ip, odd),
            key(extension, odd),
            active == b"Y",
            text(protocol, odd),
            (webphone or b"N") != b"N",
            text(peer_status, odd),
        )
        if not phone.login:
            odd[Odd.NULL_KEY] += 1
            continue
        if phone.server_ip not in known:
            odd[Odd.PHONE_WITHOUT_SERVER] += 1
        other = read.get(compared(phone.login))
        if other is not None:
            odd[Odd.TWO_PHONES] += 1
            phone = min(phone, other, key=lambda each: (not each.active, each.server_ip, each.extension))
        read[compared(phone.login)] = phone
    return read


def unwritten(phones: Iterable[PhoneRow]) -> frozenset[ServerIp]:
    """Return the dialers without a `peer_status` for any phone."""
    phones = list(phones)
    written = {phone.server_ip for phone in phones if phone.peer_status not in NO_PEER_STATUS}
    return frozenset(phone.server_ip for phone in phones if phone.protocol in LISTED) - written


def with_registrations(
    phones: Mapping[str, PhoneRow], registered: Mapping[ServerIp, Mapping[str, bool]]
) -> dict[str, PhoneRow]:
    """Return the phones with the dialers' own answers filled in, if the table has none."""
    filled = dict(phones)
    for name, phone in phones.items():
        told = registered.get(phone.server_ip)
        if told is None or phone.peer_status not in NO_PEER_STATUS:
            continue
        there = told.get(f"{phone.protocol}/{phone.extension}")
        if there is not None:
            filled[name] = phone._replace(peer_status="REGISTERED" if there else "UNREGISTERED")
    return filled


def marks(rows: Iterable[Row]) -> dict[str, Marks]:
    """Decode `secrets.sql` by login; Python's hash of a secret differs from process to process."""
    ignored = OddRows()
    return {compared(text(login, ignored)): Marks(hash(password), hash(secret)) for login, password, secret in rows}


def shared_logins(rows: Iterable[Row]) -> frozenset[str]:
    """Return the logins that several rows of `phones.sql` have."""
    ignored = OddRows()
    count = Counter(compared(text(row[0], ignored)) for row in rows)
    return frozenset(login for login, times in count.items() if times > 1)


def _defects(
    logins: tuple[str, ...], listed: str, secrets: Mapping[str, Marks], shared: frozenset[str]
) -> tuple[AliasDefect, ...]:
    found = [secrets[compared(login)] for login in logins if compared(login) in secrets]
    defects = {
        AliasDefect.TWO_PHONES: any(compared(login) in shared for login in logins),
        AliasDefect.PASSWORDS_DIFFER: len({each.password for each in found}) > 1,
        AliasDefect.SECRETS_DIFFER: len({each.secret for each in found}) > 1,
        AliasDefect.LIST_CUT: len(listed) >= LIST_CHARACTERS,
    }
    return tuple(defect for defect, there in defects.items() if there)


def aliases(
    rows: Iterable[Row],
    known: dict[str, PhoneRow],
    odd: OddRows,
    secrets: Mapping[str, Marks] = NO_MARKS,
    shared: frozenset[str] = frozenset(),
) -> dict[str, AliasRow]:
    """Decode `aliases.sql` by id, and find the defects of each list."""
    read = {}
    for alias_id, name, logins_list in rows:
        listed = text(logins_list, odd)
        logins = tuple(login for login in (part.strip() for part in listed.split(",")) if login)
        alias = AliasRow(key(alias_id, odd), text(name, odd), logins, _defects(logins, listed, secrets, shared))
        if not alias.alias_id:
            odd[Odd.NULL_KEY] += 1
            continue
        found = [known[compared(login)].server_ip for login in logins if compared(login) in known]
        odd[Odd.ALIAS_EMPTY] += not logins
        odd[Odd.ALIAS_WITHOUT_PHONE] += len(logins) > len(found)
        odd[Odd.ALIAS_SAME_SERVER] += len(found) > len(set(found))
        read[compared(alias.alias_id)] = alias
    return read


def campaigns(rows: Iterable[Row], odd: OddRows) -> dict[str, CampaignRow]:
    """Decode `campaigns.sql` by id."""
    read = {}
    for campaign_id, grouping, limit in rows:
        name = key(campaign_id, odd)
        if not name:
            odd[Odd.NULL_KEY] += 1
            continue
        try:
            known_grouping = Grouping(text(grouping, odd) or Grouping.DISABLED)
        except ValueError:
            odd[Odd.UNKNOWN_GROUPING] += 1
            known_grouping = Grouping.DISABLED
        read[compared(name)] = CampaignRow(name, known_grouping, number(limit, 50, odd))
    return read


def settings(
    rows: Iterable[Row],
    weights: Iterable[Row],
    missing: tuple[str, ...],
    odd: OddRows,
    *,
    secrets_compared: bool = False,
) -> SettingsRow:
    """Decode `settings.sql` and `weights.sql`."""
    first = next(iter(rows), (None, None))
    entry = next(iter(weights), (None,))[0]
    return SettingsRow(
        grouping_limit=number(first[0], 100, odd),
        agent_logout_link=number(first[1], 1, odd),
        weights=tuple(_weights(text(entry, odd), odd).items()),
        missing_columns=missing,
        secrets_compared=secrets_compared,
    )


def _seconds(value: bytes | None) -> float | None:
    try:
        seconds = float(value or b"")
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _weights(entry: str, odd: OddRows) -> dict[ServerIp, float]:
    """Decode the lines `IP,weight` of the weight container, as VICIdial reads them."""
    read = {}
    for line in entry.split("\n"):
        found = WEIGHT_LINE.match(line)
        if found is not None and float(found["weight"]) <= LARGEST:
            read[found["server_ip"]] = float(found["weight"])
        elif line.strip():
            odd[Odd.BAD_WEIGHT] += 1
    return read
