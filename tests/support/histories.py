"""Random contents of VICIdial's tables, one after the other, and what an observer publishes about them.

The contents are plain values here, so that a test can tell by itself what is true of them; `rows_of` writes them as
the database would give them.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from collectors.catalogue import CatalogueRows
from collectors.leading import entry
from collectors.observer import Observer, Reading, RestRows
from collectors.vicidial.rows import Row
from stream.log import Stored
from tests.support.builders import CLUSTER, NOW_MS, stored

IPS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
NAMES = ("anna", "Anna", "ANNA", "bob", "a/b", "x,y", "Ünal", "日本", "1001")
"""Users, logins, aliases and campaigns: some that differ by case only, some that are hard to put into a key."""


class Server(NamedTuple):
    """A row of `servers`."""

    server_ip: str
    active: str
    agent_logins: str
    engine: str


class Beat(NamedTuple):
    """A row of `server_updater`."""

    server_ip: str
    value: int


class Agent(NamedTuple):
    """A row of `vicidial_live_agents`."""

    live_agent_id: int
    user: str
    server_ip: str
    status: str
    campaign: str
    extension: str


class PhoneLine(NamedTuple):
    """A row of `phones`."""

    login: str
    server_ip: str
    active: str


class Alias(NamedTuple):
    """A row of `phones_alias`."""

    alias_id: str
    logins_list: str


class Group(NamedTuple):
    """A row of `vicidial_campaigns`."""

    campaign_id: str
    grouping: str
    limit: int


class Tables(NamedTuple):
    """What the tables hold at one moment."""

    servers: tuple[Server, ...]
    beats: tuple[Beat, ...]
    agents: tuple[Agent, ...]
    rooms: tuple[tuple[str, int, int], ...]
    phones: tuple[PhoneLine, ...]
    aliases: tuple[Alias, ...]
    campaigns: tuple[Group, ...]
    grouping_limit: int
    weights: tuple[tuple[str, int], ...]


class Step(NamedTuple):
    """One poll: what stands in the tables, and what of it is read."""

    tables: Tables
    agents: bool
    catalogue: bool
    again: bool
    new_epoch: bool


class Polled(NamedTuple):
    """What became of a step: the records, and which poll they are."""

    tables: Tables
    """Each part as it was when it was last read."""
    log: list[Stored]
    epoch: int
    sequence: int
    waiting: int
    """Records of the catalogue that wait for their slice."""


_ip = st.sampled_from(IPS)
_anywhere = st.sampled_from((*IPS, "10.9.9.9", ""))
_name = st.sampled_from(NAMES)
_yes_or_no = st.sampled_from("YN")


def _unique(row: st.SearchStrategy[NamedTuple], most: int) -> st.SearchStrategy[tuple[NamedTuple, ...]]:
    """Rows whose first column is their key."""
    return st.lists(row, max_size=most, unique_by=lambda each: each[0]).map(tuple)


TABLES: st.SearchStrategy[Tables] = st.builds(
    Tables,
    servers=_unique(st.builds(Server, _ip, _yes_or_no, _yes_or_no, st.sampled_from(["MEETME", "CONFBRIDGE"])), 3),
    beats=_unique(st.builds(Beat, _anywhere, st.integers(0, 3)), 3),
    agents=_unique(
        st.builds(
            Agent,
            st.integers(1, 9),
            _name,
            _anywhere,
            st.sampled_from(["READY", "INCALL", "PAUSED", "LAGGED"]),
            _name,
            st.sampled_from(["SIP/1", "R/1", ""]),
        ),
        6,
    ),
    rooms=_unique(st.tuples(_ip, st.integers(0, 9), st.integers(0, 9)), 3),  # type: ignore[arg-type] # a tuple too
    phones=st.lists(st.builds(PhoneLine, _name, _anywhere, _yes_or_no), max_size=6, unique=True).map(tuple),
    aliases=st.lists(
        st.builds(Alias, _name, st.lists(st.sampled_from(["anna", "ANNA", "bob", "nobody"]), max_size=3).map(",".join)),
        max_size=4,
        unique_by=lambda each: each.alias_id.lower(),
    ).map(tuple),
    campaigns=st.lists(
        st.builds(Group, _name, st.sampled_from(["DISABLED", "CASCADING"]), st.integers(1, 9)),
        max_size=4,
        unique_by=lambda each: each.campaign_id.lower(),
    ).map(tuple),
    grouping_limit=st.integers(1, 3),
    weights=_unique(st.tuples(_ip, st.integers(0, 3)), 3),  # type: ignore[arg-type] # a tuple too
)

HISTORIES: st.SearchStrategy[list[Step]] = st.lists(TABLES, min_size=1, max_size=4).flatmap(
    lambda contents: st.lists(
        # Few contents and many polls: most of what a poll reads is as it was.
        st.builds(
            Step,
            st.sampled_from(contents),
            agents=st.booleans(),
            catalogue=st.booleans(),
            again=st.sampled_from([False, False, False, True]),
            new_epoch=st.sampled_from([False, False, False, False, True]),
        ),
        min_size=1,
        max_size=12,
    )
)


def with_rest(reading: Reading, **parts: object) -> Reading:
    """Return the reading with other parts beside flags and heartbeats."""
    return reading._replace(rest=reading.rest._replace(**parts))  # type: ignore[arg-type]


def rows_of(tables: Tables, *, agents: bool, catalogue: bool, unchanged: Tables | None = None) -> Reading:
    """Return the tables as the database gives them; phones and aliases only where they differ from `unchanged`."""
    phones_changed = unchanged is None or unchanged.phones != tables.phones
    return Reading(
        dialers=[
            _row(each.server_ip, "ID", "text", each.active, each.agent_logins, "Y", "", each.engine)
            for each in tables.servers
        ],
        heartbeats=[_row(each.server_ip, f"2027-01-15 08:00:0{each.value}", None, "0.5") for each in tables.beats],
        rest=RestRows(
            agents=[
                _row(
                    str(each.live_agent_id),
                    each.user,
                    each.server_ip,
                    each.extension,
                    "8600051",
                    each.status,
                    each.campaign,
                    "",
                    "",
                    "N",
                    "0",
                )
                for each in tables.agents
            ]
            if agents
            else None,
            conferences=[_row(ip, str(total), str(free)) for ip, total, free in tables.rooms] if agents else None,
            confbridges=[_row(ip, str(total + 100), str(free + 100)) for ip, total, free in tables.rooms]
            if agents
            else None,
            catalogue=CatalogueRows(
                phones=[
                    _row(each.login, each.server_ip, each.login, each.active, "SIP", "N", "") for each in tables.phones
                ]
                if phones_changed
                else None,
                aliases=[_row(each.alias_id, "name", each.logins_list) for each in tables.aliases]
                if unchanged is None or phones_changed or unchanged.aliases != tables.aliases
                else None,
                campaigns=[_row(each.campaign_id, each.grouping, str(each.limit)) for each in tables.campaigns],
                settings=[_row(str(tables.grouping_limit), "1")],
                weights=[_row("\n".join(f"{ip},{weight}" for ip, weight in tables.weights))],
                missing_columns=(),
            )
            if catalogue
            else None,
        ),
    )


def play(history: Sequence[Step]) -> Iterator[Polled]:
    """Let an observer see a history, as a collector would: agents at once, the whole catalogue with the second poll.

    At its end comes a round of everything, of as many polls as it takes.
    """
    epoch, number, offset = 0, 0, 0
    observer: Observer | None = None
    catalogue_of: Tables | None = None
    agents_of = history[0].tables
    last = history[-1]._replace(new_epoch=False, agents=True)
    steps = [*history, last, last._replace(catalogue=True, again=True)]
    while steps:
        step = steps.pop(0)
        if observer is None or step.new_epoch:
            epoch, number, catalogue_of = epoch + 1, 0, None
            observer = Observer(CLUSTER, f"c{epoch}", epoch)
        again = step.again and number > 0
        catalogue = number == 1 or again or (step.catalogue and number > 1)
        agents = step.agents or number == 0
        if again:
            observer.publish_everything_again()
        reading = rows_of(step.tables, agents=agents, catalogue=catalogue, unchanged=None if again else catalogue_of)
        if agents:
            agents_of = step.tables
        if catalogue:
            catalogue_of = step.tables
        log = stored(map(entry, observer.observe(NOW_MS + 500 * offset, reading)), offset)
        offset += len(log)
        number += 1
        yield Polled(
            (catalogue_of or step.tables)._replace(
                servers=step.tables.servers, beats=step.tables.beats, agents=agents_of.agents, rooms=agents_of.rooms
            ),
            log,
            epoch,
            observer.sequence,
            observer.waiting,
        )
        if not steps and observer.waiting:
            steps.append(last._replace(catalogue=False, again=False))


def _row(*columns: str | None) -> Row:
    return tuple(None if column is None else column.encode() for column in columns)
