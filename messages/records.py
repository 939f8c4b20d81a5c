"""Every record that travels on hotdesk's topics.

Times are whole milliseconds since 1970 (`_ms`). In a record of a cluster they are the log's time: what the cluster's
collector counted on its monotonic clock from the start of its epoch. A record never holds a secret.

How a record may change: a field may be added if it has a default, and a reader ignores fields it does not know; both
leave `schema_version` alone. Whatever else changes raises the version, and `codec.UPGRADES` says how to read the
older one. A reader refuses a version newer than its own, so readers are upgraded before writers; and who finds
decisions of a newer version decides nothing any more. `epoch` and `sequence` of an observation stay what they are.
"""

import re
from enum import StrEnum
from typing import Annotated

import msgspec

from messages.codes import Code, DecisionCode, Reason
from messages.topics import Topic

ServerIp = str
"""A dialer's `servers.server_ip`: VICIdial's key for it."""


Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A whole number that every reader of JSON keeps exact. JSON itself knows no largest one; what has hundreds of digits
can be read, but not be divided by anything, so that one record could stop every reader."""

SCHEMA_VERSION = 1
"""The version this build writes, and the newest it reads."""


def snake_case(name: str) -> str:
    """Return the code of a class: `AgentPause` is `agent_pause`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Record(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="record", tag=snake_case
):
    """What all records share. The `record` field names the type on the wire; a field at its default is left out."""

    cluster: str
    # a factory's value is always written
    schema_version: Whole = msgspec.field(default_factory=lambda: SCHEMA_VERSION)


class Stamped(Record, frozen=True, kw_only=True, gc=False):
    """A record of a poll. A stamp lower than one already seen is old news and is dropped."""

    epoch: Whole
    """Which collector's reign: each one that takes over counts one up."""
    sequence: Whole
    """Which poll of that reign."""


# --- observations -----------------------------------------------------------------------------------------------


class AgentStatus(StrEnum):
    """`vicidial_live_agents.status`; anything else VICIdial may write is counted as OTHER."""

    READY = "READY"
    QUEUE = "QUEUE"
    INCALL = "INCALL"
    PAUSED = "PAUSED"
    CLOSER = "CLOSER"
    MQUEUE = "MQUEUE"
    OTHER = "OTHER"


class Grouping(StrEnum):
    """`vicidial_campaigns.pllb_grouping`: VICIdial's phone login load balancing by campaign."""

    DISABLED = "DISABLED"
    ONE_SERVER_ONLY = "ONE_SERVER_ONLY"
    CASCADING = "CASCADING"


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What a dialer's row in `server_updater` showed."""

    progressed_at_ms: Whole | None = None
    """When the value was last seen to change; None: not once in this epoch."""
    watched_since_ms: Whole
    """When this epoch first saw the row: what did not advance since then has stalled for so long."""
    age_seconds: float | None = None
    """The database's clock minus the value, as VICIdial judges it; None: the value is no date."""
    clock_skew_seconds: float | None = None
    """The dialer's clock minus the database's when the value last changed, about a second exact; None: not known."""


class ProbeResult(Code):
    """What a probe of a dialer's own port told."""

    ALIVE = "alive"
    MUTE = "mute"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    DENIED = "denied"


class DialerReading(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One row of `servers`, and what the other tables say about that dialer, at one poll."""

    server_ip: ServerIp
    server_id: str = ""
    description: str = ""
    active: bool = True
    """`servers.active`."""
    agent_logins: bool = True
    """`servers.active_agent_login_server`."""
    asterisk: bool = True
    """`servers.active_asterisk_server`; no: a web or database box."""
    twin_server_ip: ServerIp = ""
    heartbeat: Heartbeat | None = None
    """None: no row, which proves nothing (a database restart empties the table)."""
    agents: dict[AgentStatus, Whole] = {}
    """Non-remote agents by status; statuses without agents are left out."""
    remote_agents: Whole = 0
    campaigns: dict[str, Whole] = {}
    """Non-remote agents by campaign."""
    rooms: Whole = 0
    rooms_free: Whole = 0
    probes: dict[str, ProbeResult] = {}
    """By kind of probe."""


class Poll(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: closes a poll. What came before it with its epoch is folded with it, whole or not at all."""

    observed_at_ms: Whole
    full_sequence: Whole | None
    """Since this poll of the epoch everything was published again: what is older has ended, and is swept.

    None: not yet. Agents are whole from an epoch's first poll on; phones, aliases and the rest follow in slices, so
    that they never hold up the news about dialers.
    """
    collector: str
    """Which process observed."""
    dialers: tuple[DialerReading, ...]
    odd_rows: dict[str, Whole] = {}
    """Rows that did not fit, counted by what was odd about them."""


class Outage(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/outage`: the database does not answer. Nothing is known meanwhile; nobody died of it."""

    unreachable_since_ms: Whole
    collector: str
    why: str


class EpochClaim(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/epoch_claim`: a collector takes over and claims this epoch. It claims again if another was first."""

    collector: str


class AgentSession(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/agent/USER`: one row of `vicidial_live_agents`. A tombstone: the session ended."""

    live_agent_id: Whole
    user: str
    server_ip: ServerIp
    extension: str = ""
    conf_exten: str = ""
    status: AgentStatus
    campaign_id: str = ""
    call_server_ip: ServerIp = ""
    """Where the agent's call is, maybe another dialer."""
    external_pause: str = ""
    typed: str = ""
    """What was typed as phone login, so maybe an alias; empty: not known."""
    on_hook: bool = False
    remote: bool = False
    """`extension` begins with R: no browser, no phone of an alias; not counted by VICIdial's balancing."""


SAID_NOTHING = frozenset({"", "UNKNOWN"})
"""What `phones.peer_status` holds where nobody writes it."""


class Phone(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/phone/LOGIN`: the row of `phones` that a login names."""

    login: str
    server_ip: ServerIp
    extension: str = ""
    active: bool = True
    protocol: str = ""
    webphone: bool = False
    peer_status: str = ""
    """`phones.peer_status`; empty: the schema has none."""


class AliasDefect(Code):
    """What only a collector can tell of an alias: it compares secrets, and none of them leaves it."""

    TWO_PHONES = "two_phones"
    PASSWORDS_DIFFER = "passwords_differ"
    SECRETS_DIFFER = "secrets_differ"
    LIST_CUT = "list_cut"


class PhoneAlias(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/alias/ID`: one login that stands for several phones."""

    alias_id: str
    name: str = ""
    logins: tuple[str, ...]
    """In the order of `logins_list`: on a tie VICIdial takes the last."""
    defects: tuple[AliasDefect, ...] = ()


class Campaign(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/campaign/ID`: how a campaign wants its agents grouped."""

    campaign_id: str
    grouping: Grouping = Grouping.DISABLED
    grouping_limit: Whole = 50


class SystemSettings(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/settings`: `system_settings`, the weight container, and what this schema lacks."""

    grouping_limit: Whole = 100
    """`system_settings.pllb_grouping_limit`."""
    agent_logout_link: Whole = 1
    weights: dict[ServerIp, float] = {}
    """Settings container AGENT_LOAD_BALANCING_WEIGHT; empty: all dialers weigh the same."""
    missing_columns: tuple[str, ...] = ()
    """`table.column` that this VICIdial is too old to have."""
    secrets_compared: bool = False
    """Whether the collector may read the phones' secrets, and so tells where those of an alias differ."""


Observation = Poll | Outage | EpochClaim | AgentSession | Phone | PhoneAlias | Campaign | SystemSettings


# --- orders -----------------------------------------------------------------------------------------------------


class Order(Record, frozen=True, kw_only=True, gc=False):
    """What a person asks of a cluster. A tombstone takes it back."""

    ordered_at_ms: Whole
    by: str
    why: str = ""


class Resynchronise(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/resynchronise`: the collector publishes everything again."""


class Pause(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/pause`: observe only."""


class Drain(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/drain/SERVER_IP`: no new logins there, agents leave after their calls."""

    server_ip: ServerIp


class Acknowledge(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/acknowledge/INCIDENT`: somebody is on it."""

    incident: str
    silence_until_ms: Whole | None = None


class Move(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/move/USER`: this agent goes to the least-loaded of the other dialers."""

    user: str
    live_agent_id: Whole
    """The session that is meant; a later one of the same user stays where it is."""


class Unbrake(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/unbrake`: move agents in spite of the brake of `bad_since_ms`, and of no other."""

    bad_since_ms: Whole


class Unfence(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/unfence/SERVER_IP`: give back what the fence of `planned_at_ms` took, and no other."""

    server_ip: ServerIp
    planned_at_ms: Whole


AnyOrder = Resynchronise | Pause | Drain | Acknowledge | Move | Unbrake | Unfence


# --- logins -----------------------------------------------------------------------------------------------------


class LoginSlot(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/user/USER`: a place on a dialer that a pick handed out, then the login it became.

    A tombstone: given back or over, or the session ended.
    """

    user: str
    alias_id: str
    """What the agent typed: an alias, or one phone's login."""
    campaign_id: str = ""
    phone_login: str
    server_ip: ServerIp
    handed_out_at_ms: Whole
    until_ms: Whole
    replaces: Whole | None = None
    """The `live_agent_id` this user already had: that row is not the one the slot waits for."""
    used_by: Whole | None = None
    """The `live_agent_id` of the login it became: it is no slot any more, and tells which alias that agent used."""
    planned: bool = False
    """Kept for an agent who is being moved; else a login asked for it."""
    screen: str = ""
    """Which screen asked: a digest of what only that screen knows. Of a planned slot: the screen that is moved, which
    may ask once for its order to log in again."""
    asked_by: str = ""
    """Which screen logs in to a planned slot: maybe the agent's next one, maybe somebody who only knows their name. The
    order stays with `screen` until a session is seen."""
    handed_out_by: str
    """Which process; its own news coming back to it says nothing new."""


# --- rankings ---------------------------------------------------------------------------------------------------


class Ineligible(Code):
    """Why a dialer, or an alias's phone on it, takes no new login; `messages.words` has the sentences."""

    DOWN = "down"
    SUSPECT = "suspect"
    DRAINING = "draining"
    MAINTENANCE = "maintenance"
    WARMING_UP = "warming_up"
    SWITCHED_OFF = "switched_off"
    CLOSED = "closed"
    NO_HEARTBEAT = "no_heartbeat"
    STALLED = "stalled"
    TWIN_SILENT = "twin_silent"
    NO_ROOM = "no_room"
    FULL = "full"
    PHONE_INACTIVE = "phone_inactive"
    NOT_REGISTERED = "not_registered"
    NO_SUCH_PHONE = "no_such_phone"
    NO_SUCH_SERVER = "no_such_server"


class DialerState(Code):
    """What a dialer is judged to be."""

    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"
    DRAINING = "draining"
    CLOSED = "closed"
    RECOVERING = "recovering"
    UNKNOWN = "unknown"


class ProbeHistory(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """What one kind of probe has told of a dialer."""

    told: ProbeResult
    since_ms: Whole
    """Since when it has told that, without a break in the watching."""
    credible: bool = False
    """It has found the dialer alive once, so its answers count."""


class DialerHealth(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How one dialer is judged, and what must be remembered to judge it again."""

    state: DialerState
    since_ms: Whole
    """In this state since."""
    evidence: str = ""
    """What speaks for the state, in words; empty for a dialer that is simply up."""
    verdict: DialerState = DialerState.UNKNOWN
    """What the latest poll says by itself: up, suspect, down or unknown."""
    life: DialerState = DialerState.UNKNOWN
    """The state without flags and orders: up, suspect, down, recovering or unknown."""
    life_since_ms: Whole = 0
    confirmed: bool = False
    """A probe confirms that it is down."""
    served: bool = False
    """It has been up: a dialer that never was is not in service."""
    deaths: Whole = 0
    """How often it went down lately; each doubles the probation."""
    probation_since_ms: Whole = 0
    probation_until_ms: Whole = 0
    switched_off_since_ms: Whole | None = None
    """`active='N'` since."""
    probes: dict[str, ProbeHistory] = {}


class FleetHealth(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How a cluster's dialers are judged at one poll."""

    epoch: Whole = -1
    polled_at_ms: Whole = 0
    steady_since_ms: Whole = 0
    """Since when polls have come without a gap: what happened before is not held against a dialer."""
    dialers: dict[ServerIp, DialerHealth] = {}
    bad_since_ms: Whole | None = None
    """Since when so many dialers look bad that it may be the observer."""
    brake: Reason | None = None
    """Why no agent is moved; None: no brake, or it was released."""
    braked: tuple[ServerIp, ...] = ()
    """The fleet brake's set: dialers that have looked bad since it took hold and were not up again."""
    counted_since_ms: Whole = 0
    """Silence from before then is void: it was heard while a brake held, which has let go."""
    blind_since_ms: Whole | None = None
    """Since when all probes fail together: that is the prober's trouble, and they have no vote."""


class RankedDialer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where one dialer stands in its cluster's ranking."""

    server_ip: ServerIp
    server_id: str = ""
    state: DialerState = DialerState.UNKNOWN
    since_ms: Whole = 0
    """In this state since."""
    evidence: str = ""
    """What speaks for the state, in words."""
    rank: Whole | None
    """1 is the next to be picked; None: takes no new login."""
    ineligible_because: tuple[Ineligible, ...] = ()
    agents: Whole
    """Non-remote agents seen there."""
    slots: Whole
    """Handed out and not yet seen."""
    load: float
    """What the ranking compares: agents and slots, divided by the dialer's weight where weights are set."""
    rooms_free: Whole
    """After slots."""
    max_agents: Whole | None = None
    heartbeat_stalled_seconds: float | None = None
    """None: no heartbeat row."""


class RankingSnapshot(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: the owner's ranking of a cluster's dialers, least loaded first, and who the owner is."""

    epoch: Whole
    sequence: Whole
    observed_at_ms: Whole
    owner: str
    owner_url: str
    """Where the owner's API answers; empty: nowhere."""
    dialers: tuple[RankedDialer, ...]
    imbalance: float | None
    """Most over mean load of the dialers that take logins; None: no agents, or no such dialer."""
    outage_since_ms: Whole | None = None
    health: FleetHealth | None = None
    """What the next owner goes on judging from."""


# --- incidents, actions ----------------------------------------------------------------------------------------


class NotMoved(Code):
    """Why an agent of a failed dialer is listed and not moved; `messages.words` has the sentences."""

    REMOTE = "remote"
    NO_ALIAS = "no_alias"
    AMBIGUOUS = "ambiguous"
    NOWHERE = "nowhere"
    NO_BETTER = "no_better"
    MOVED_OFTEN = "moved_often"
    IN_CALL = "in_call"
    CALL_LOST = "call_lost"
    STAYED = "stayed"


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An agent that an incident concerns and who is not being moved."""

    user: str
    live_agent_id: Whole
    why: NotMoved


class Incident(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/incident/ID`: one dialer's trouble from its opening to its close; one at a time a dialer."""

    incident: str
    """The dialer, and when it was opened."""
    server_ip: ServerIp
    kind: DialerState
    """Down, draining or closed."""
    opened_at_ms: Whole
    closed_at_ms: Whole | None = None
    why: str
    """The evidence it was opened on, or that changed its kind."""
    confirmed: bool = False
    """A probe confirms the death."""
    in_maintenance: bool = False
    """It falls into a maintenance window: no alarm."""
    withheld: Reason | None = None
    """Why no agent is moved now; None: nothing withholds moves."""
    agents: Whole = 0
    """Non-remote agents that are still on the dialer."""
    moves: Whole = 0
    """How many moves were planned."""
    moved: Whole = 0
    """How many of those agents were seen on another dialer."""
    listed: tuple[Listed, ...] = ()
    by: str = ""
    """Which process decided."""


class ReloginStage(Code):
    """How far a move has come."""

    ADVISED = "advised"
    """hotdesk only observes here: this is what it would have ordered."""
    PLANNED = "planned"
    SENT = "sent"
    """The agent's screen was told to log out, or may have been: the answer did not come."""
    FAILED = "failed"
    """Told several times, and the session is still there."""
    ENDED = "ended"
    """The session ended."""
    MOVED = "moved"
    """The agent was seen on another dialer."""


class Relogin(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/session/LIVE_AGENT_ID`: the order to move one session, and what became of it."""

    live_agent_id: Whole
    user: str
    incident: str
    """Whose; `order/USER` where a person asked for this move."""
    from_server_ip: ServerIp
    to_server_ip: ServerIp
    alias_id: str = ""
    phone_login: str
    planned_at_ms: Whole
    stage: ReloginStage = ReloginStage.PLANNED
    changed_at_ms: Whole = 0
    attempts: Whole = 1
    """Which time this is that the agent is told."""
    in_call: bool = False
    """The agent was in a call on a dialer that is down: the screen must be told to hang up first."""
    dialer_lives: bool = False
    """The dialer is only to be emptied: a room there that is left behind can still be closed."""
    forced: bool = False
    """The screen did not react: the session is to be ended in VICIdial's own tables."""
    answer: str = ""
    """What VICIdial answered, without its secrets."""
    by: str = ""
    """Which process decided."""


class AgentPauseStage(Code):
    """How far keeping an agent from calls has come."""

    ADVISED = "advised"
    """hotdesk only observes here: this is what it would have ordered."""
    PLANNED = "planned"
    PAUSED = "paused"
    """The agent's screen was told to pause, or may have been."""
    GIVEN_UP = "given_up"
    """Somebody made the agent ready again, or the pause was refused: they are left alone."""
    RESUMING = "resuming"
    """The dialer is back and the agent is still there: the pause is to be taken back."""


class AgentPause(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/agent_pause/LIVE_AGENT_ID`: an agent of a dead dialer is paused, so that no call is sent to them."""

    live_agent_id: Whole
    user: str
    incident: str
    server_ip: ServerIp
    stage: AgentPauseStage = AgentPauseStage.PLANNED
    changed_at_ms: Whole = 0
    seen: bool = False
    """The agent was seen paused since."""
    mark: str = ""
    """What `external_pause` held after it: as long as it does, the pause is ours to take back."""
    answer: str = ""
    by: str = ""
    """Which process decided."""


class FenceStage(Code):
    """How far a fence has come."""

    PLANNED = "planned"
    TAKEN = "taken"
    """`active_agent_login_server` was Y, and hotdesk made it N."""
    NOT_TAKEN = "not_taken"
    """It was N already, so it is not hotdesk's to give back."""
    UNCLEAR = "unclear"
    """Nobody knows whether hotdesk made it N: a person must look, and may order it given back."""
    RETURNING = "returning"
    RETURNED = "returned"


class Fence(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/fence/SERVER_IP`: VICIdial itself is kept from sending new logins to a dead dialer."""

    server_ip: ServerIp
    incident: str
    planned_at_ms: Whole
    stage: FenceStage = FenceStage.PLANNED
    changed_at_ms: Whole = 0
    answer: str = ""
    by: str = ""
    """Which process decided."""


Action = Relogin | AgentPause | Fence
"""What is to be done in VICIdial, and what became of it."""


# --- audit, dead letters ----------------------------------------------------------------------------------------


class Decision(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: something decided, withheld or done, and why."""

    at_ms: Whole
    actor: str
    code: DecisionCode
    what: str
    """The sentence of the code, with its facts."""
    why: str
    subject: str = ""
    """The dialer, agent, alias or order it is about."""


class DeadLetter(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: a record that could not be read, and why. `cluster` may itself be unreadable, then empty."""

    topic: Topic
    partition: Whole
    offset: Whole
    key: str
    why: str
    value_base64: str


AnyRecord = Observation | AnyOrder | LoginSlot | RankingSnapshot | Incident | Action | Decision | DeadLetter
