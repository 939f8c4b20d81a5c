"""The API's bodies and answers. Ranked dialers, incidents and actions are the very records of the topics."""

from typing import Annotated

import msgspec

from controller.core.tones import Tone
from messages.codes import Reason
from messages.records import (
    AgentPause,
    Arrival,
    Fence,
    Grouping,
    HookSight,
    Incident,
    Ineligible,
    RankedDialer,
    Relogin,
    ServerIp,
    UnreadTable,
)

User = Annotated[str, msgspec.Meta(min_length=1, max_length=20, description="VICIdial user")]
Alias = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=255, description="the phone login that was typed: an alias, or a phone's"),
]
Screen = Annotated[
    str,
    msgspec.Meta(
        pattern="^([0-9a-f]{32,64})?$",
        description="mark that only this screen knows, random, in hex; hotdesk keeps a digest of it",
    ),
]
Visitor = Annotated[
    str,
    msgspec.Meta(
        pattern="^([0-9a-f]{16,64})?$",
        description="keyed hash, in hex, of the address that the login form came from",
    ),
]
CampaignId = Annotated[str, msgspec.Meta(max_length=20, description="campaign to log in to")]


class ClusterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One known cluster."""

    cluster: str
    stale: bool
    """No poll for five seconds: no dialer is offered."""
    age_ms: int | None
    """Age of the latest poll; None: none came in since this process started."""
    owned: bool
    """The process that answers is the cluster's owner."""
    summary: str = ""
    """The state of the cluster, in a sentence."""
    tone: Tone = Tone.BLIND
    """The state of the cluster, at a glance."""
    dialers: int = 0
    taking: int = 0
    """The number of dialers that take new logins."""
    agents: int = 0
    incidents: int = 0
    """The number of open incidents."""


class RankingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster's dialers, least loaded first."""

    cluster: str
    epoch: int
    sequence: int
    observed_at_ms: int
    age_ms: int | None
    stale: bool
    owner: str
    answered_by: str
    imbalance: float | None
    database_unreachable_since_ms: int | None
    brake: Reason | None
    """Why no agent would be moved now; null: moves are not withheld."""
    paused_by: str
    """The person who suspended the cluster, or hotdesk itself; empty: it is not suspended."""
    dialers: tuple[RankedDialer, ...]
    summary: str = ""
    """The state of the cluster, in a sentence."""
    fences: tuple[Fence, ...] = ()
    """Dialers that hotdesk has closed to VICIdial's own logins, or has tried to close."""
    hooks: tuple[HookSight, ...] = ()
    """The web servers whose login hook asks, the latest first, each with its last time; to about a minute."""
    unread: tuple[UnreadTable, ...] = ()
    """The tables of VICIdial's that cannot be read now; what was last read from them still counts."""


class PhoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One phone of an alias, with every reason against it."""

    phone_login: str
    server_ip: ServerIp
    rank: int | None
    ineligible_because: tuple[Ineligible, ...]
    agents: int
    slots: int
    load: float
    crowded: bool
    """Its dialer would be full if every slot became a session: it comes after those that would not be."""


class AliasAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The phones of an alias, the next pick first."""

    cluster: str
    alias: str
    campaign: str
    age_ms: int | None
    stale: bool
    why_stale: str = ""
    """The reason why nothing is known now; empty: it is known."""
    forced_by: Grouping | None
    phones: tuple[PhoneAnswer, ...]


class PickBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A login that asks for a pick."""

    user: User
    alias: Alias
    campaign: CampaignId = ""
    screen: Screen = ""
    """The screen that logs in: it may ask whether to log in again, should hotdesk end this login."""
    visitor: Visitor = ""
    """The visitor of the login page, each of whom has a limit; empty: not known."""
    no_user: bool = False
    """VICIdial has no such user, or none who may log in."""


class ReloginBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A screen that was logged out and asks whether hotdesk did it."""

    screen: Screen
    visitor: Visitor = ""
    """The visitor of the login page; empty: not known."""


class ReloginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The re-login: hotdesk ended this screen's session to move its agent, who should log in again with this alias."""

    cluster: str
    user: str
    alias: str
    phone_login: str
    """The phone that the pick of that login will be, as long as its dialer takes logins."""
    server_ip: ServerIp


class PickAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The pick: a phone, with a slot on its dialer until the agent's row is seen, or the slot times out."""

    cluster: str
    user: str
    alias: str
    phone_login: str
    server_ip: ServerIp
    age_ms: int
    """Age of the poll that this rests on."""
    degraded: bool
    """The cluster's owner did not answer: this replica picked by itself, and others may pick the same dialer."""
    answered_by: str


class OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The author of an order, and the reason, for the audit."""

    by: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "api"
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class AcknowledgeBody(OrderBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The person who is working on an incident, and for how many minutes its alarms are silenced."""

    silence_minutes: Annotated[int, msgspec.Meta(ge=0, le=7 * 24 * 60)] = 0


class OrderAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an order that is stored: what comes of it, in words."""

    ordered: str


class StandingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that stands, and how it is taken back."""

    kind: str
    subject: str
    """The dialer, agent or incident; empty: the cluster."""
    by: str
    why: str
    ordered_at_ms: int
    words: str
    """Its effect, in words."""


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An incident, with its moves and agent pauses."""

    incident: Incident
    acknowledged_by: str
    """Empty: not acknowledged."""
    silenced_until_ms: int | None
    moves: tuple[Relogin, ...]
    agent_pauses: tuple[AgentPause, ...] = ()
    """The agents who are paused until they are moved, or until the dialer is back."""
    arrivals: tuple[Arrival, ...] = ()
    """The agents who were moved and are logged in again."""


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the process."""

    status: str
    version: str
    why: tuple[str, ...] = ()
