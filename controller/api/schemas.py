"""What the API takes and gives. Standings are the very ones that travel on the topics."""

from typing import Annotated

import msgspec

from messages.records import Fence, Grouping, AgentPause, Incident, Relogin, ServerIp, RankedDialer, Ineligible

User = Annotated[str, msgspec.Meta(min_length=1, max_length=20, description="VICIdial user")]
Alias = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=255, description="what was typed as phone login: an alias, or a phone's"),
]
Screen = Annotated[
    str,
    msgspec.Meta(pattern="^([0-9a-f]{64})?$", description="SHA-256, in hex, of a mark that only this screen knows"),
]
CampaignId = Annotated[str, msgspec.Meta(max_length=20, description="campaign to log in to")]


class ClusterAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One known cluster."""

    cluster: str
    stale: bool
    """No poll for five seconds: nothing is offered."""
    age_ms: int | None
    """Since the latest poll; None: none came in since this process started."""
    owned: bool
    """Whether the process that answers is its owner."""
    summary: str = ""
    """How the cluster is, in a sentence."""


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
    brake: str
    """Why nobody would be moved now; empty: nothing keeps anybody."""
    paused_by: str
    """Who has the cluster only observed; empty: nobody."""
    dialers: tuple[RankedDialer, ...]
    summary: str = ""
    """How the cluster is, in a sentence."""
    fences: tuple[Fence, ...] = ()
    """Dialers that hotdesk has closed to VICIdial's own logins, or has tried to."""


class PhoneAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One phone of an alias, with every reason against it."""

    phone_login: str
    server_ip: ServerIp
    rank: int | None
    ineligible_because: tuple[Ineligible, ...]
    agents: int
    slots: int
    load: float


class AliasAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An alias's phones: the next pick first."""

    cluster: str
    alias: str
    campaign: str
    age_ms: int | None
    stale: bool
    forced_by: Grouping | None
    phones: tuple[PhoneAnswer, ...]


class PickBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants to log in."""

    user: User
    alias: Alias
    campaign: CampaignId = ""
    screen: Screen = ""
    """Which screen logs in: the one that may ask for an order to log in again, should hotdesk end this login."""


class ReloginBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which screen was logged out and asks whether hotdesk did it."""

    screen: Screen


class ReloginAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """hotdesk ended the session of this screen to move its agent, who should log in again with this alias."""

    cluster: str
    user: str
    alias: str
    phone_login: str
    """Where the pick of that login will send them, as long as that dialer takes logins."""
    server_ip: ServerIp


class PickAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Where to log in, and a slot there until the agent's row is seen, or its time is over."""

    cluster: str
    user: str
    alias: str
    phone_login: str
    server_ip: ServerIp
    age_ms: int
    """How old the observations are that this rests on."""
    degraded: bool
    """The cluster's owner did not answer: this replica chose by itself, and others may choose the same dialer."""
    answered_by: str


class OrderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who orders something, and why: for those who read about it later."""

    by: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] = "api"
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class AcknowledgeBody(OrderBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is on an incident, and whether it shall raise no alarm for a while."""

    silence_minutes: Annotated[int, msgspec.Meta(ge=0, le=7 * 24 * 60)] = 0


class IncidentAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An incident, and what became of each agent it moves."""

    incident: Incident
    acknowledged_by: str
    """Empty: nobody is on it yet."""
    silenced_until_ms: int | None
    moves: tuple[Relogin, ...]
    agent_pauses: tuple[AgentPause, ...] = ()
    """Who is kept from calls until they are moved, or until the dialer is back."""


class HealthAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """How the process is."""

    status: str
    version: str
    why: tuple[str, ...] = ()
