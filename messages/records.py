"""Every record that travels on hotdesk's topics.

Times are whole milliseconds since 1970 (`_ms`). In a record of a cluster they are the log's time: what the cluster's
collector counted on its monotonic clock from the start of its epoch. A record never holds a secret.

How a record may change: a field may be added if it has a default, and a reader ignores fields it does not know; both
leave `schema_version` alone. Any other change raises the version, and `codec.UPGRADES` says how to read the
older one. A reader refuses a version newer than its own, so readers are upgraded before writers; and a controller that
reads decisions of a newer version stops deciding. `epoch` and `sequence` of an observation never change.
"""

import re
from enum import StrEnum
from typing import Annotated

import msgspec

from messages.codes import Code, DecisionCode, NotFenced, Reason, ReasonCode, Unreadable
from messages.topics import Topic

ServerIp = str
"""A dialer's `servers.server_ip`: VICIdial's key for it."""


Whole = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A whole number that every reader of JSON keeps exact. JSON itself sets no limit; Python reads a number of hundreds of
digits, but cannot divide it, so that one such record could stop every reader."""

SCHEMA_VERSION = 1
"""The version that this build writes, and the newest that it reads."""


def snake_case(name: str) -> str:
    """Return the code of a class: `AgentPause` is `agent_pause`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Record(
    msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, tag_field="record", tag=snake_case
):
    """The base of all records. The `record` field names the type on the wire; a field at its default is left out."""

    cluster: str
    # a factory's value is always written
    schema_version: Whole = msgspec.field(default_factory=lambda: SCHEMA_VERSION)


class Stamped(Record, frozen=True, kw_only=True, gc=False):
    """A record of a poll. One with a lower stamp than the latest is out of date and is dropped."""

    epoch: Whole
    """Leadership term of the collector; incremented at each takeover."""
    sequence: Whole
    """Number of the poll within that epoch."""


class Row(Stamped, frozen=True, kw_only=True, gc=False):
    """A row of VICIdial's tables that a poll reports as changed."""


# --- observations -----------------------------------------------------------------------------------------------


class AgentStatus(StrEnum):
    """`vicidial_live_agents.status`; any other value is counted as OTHER."""

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
    """A dialer's row in `server_updater`, as the collector saw it."""

    progressed_at_ms: Whole | None = None
    """When the value was last seen to change; None: never in this epoch."""
    watched_since_ms: Whole
    """When this epoch first saw the row: a value that has not changed since has stalled from then on."""
    age_seconds: float | None = None
    """The database's clock minus the value, as VICIdial judges it; None: the value is not a date."""
    clock_skew_seconds: float | None = None
    """The dialer's clock minus the database's when the value last changed, to about a second; None: not known."""


class ProbeResult(Code):
    """The result of one probe of a dialer's own port."""

    ALIVE = "alive"
    MUTE = "mute"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    DENIED = "denied"


class DialerReading(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One row of `servers` and the other tables' facts about that dialer, at one poll."""

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
    """Non-remote agents by status; a status without agents is left out."""
    remote_agents: Whole = 0
    campaigns: dict[str, Whole] = {}
    """Non-remote agents by campaign."""
    rooms: Whole = 0
    rooms_free: Whole = 0
    probes: dict[str, ProbeResult] = {}
    """The latest result of each kind of probe."""
    started: str = ""
    """When its Asterisk started, by its own words, as AMI says; empty: not known."""
    restarted_after_ms: Whole | None = None
    """When it was last seen before its Asterisk started again, by the phones that are gone; None: it did not."""
    worked_at_ms: Whole | None = None
    """When it was last seen to work while its heartbeat was in doubt; None: not seen, or not looked at."""
    silent_screens: Whole = 0
    """Agents whose screen has asked VICIdial for nothing for a minute and a half; they count in `agents` too."""
    lost_screens: Whole = 0
    """Agents whose screen VICIdial no longer knows; they count in both."""


class UnreadTable(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A table of VICIdial's that cannot be read now."""

    table: str
    since_ms: Whole
    """When it was last read, or when the epoch began."""
    why: Unreadable


class Poll(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: closes a poll. The records before it with its epoch are folded with it, all or none."""

    observed_at_ms: Whole
    full_sequence: Whole | None
    """The poll of this epoch since which everything was published again: any older record has ended, and is swept.

    None: not yet. Agents are complete from an epoch's first poll on; phones, aliases and the rest follow in slices, so
    that they never delay the records about dialers.
    """
    collector: str
    """Name of the collector's process."""
    dialers: tuple[DialerReading, ...]
    odd_rows: dict[str, Whole] = {}
    """Number of rows that did not fit, by code."""
    agents_known: bool = True
    """False: this epoch could not read the agents yet, so those of the epoch before still count."""
    rooms_known: bool = True
    """False: the same for the conference rooms."""
    unread: tuple[UnreadTable, ...] = ()
    """The tables that cannot be read now; what was last read from them still counts."""
    doubts: tuple[ReasonCode, ...] = ()
    """Reasons that only the collector can know, for which nothing may be carried out."""
    database_ms: Whole | None = None
    """The database's wall clock at that moment, for times of day; None: an older collector."""
    waited_ms: Whole = 0
    """How long it waited in its collector until it was appended. That is known only once it is encoded: it travels in a
    header, and never in the value."""

    @property
    def wall_ms(self) -> int:
        """The wall clock at that moment: no decision goes by it but those that people tie to a time of day."""
        return self.observed_at_ms if self.database_ms is None else self.database_ms


class Outage(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/outage`: the database does not answer. Nothing is known meanwhile; no dialer is held to be down."""

    unreachable_since_ms: Whole
    collector: str
    why: str


class EpochClaim(Stamped, frozen=True, kw_only=True, gc=False):
    """Key `cluster/epoch_claim`: a new leader claims this epoch, and the next one if another collector was first."""

    collector: str


def is_wrapup(status: str, lead_id: int) -> bool:
    """Return True for an agent who has still to choose a disposition: paused, and with the lead of the call."""
    return status == AgentStatus.PAUSED and lead_id > 0


class AgentSession(Row, frozen=True, kw_only=True, gc=False):
    """Key `cluster/agent/USER`: one row of `vicidial_live_agents`. A tombstone: the session ended."""

    live_agent_id: Whole
    user: str
    server_ip: ServerIp
    extension: str = ""
    conf_exten: str = ""
    status: AgentStatus
    campaign_id: str = ""
    call_server_ip: ServerIp = ""
    """The dialer of the agent's call, which may be another one."""
    external_pause: str = ""
    typed: str = ""
    """The phone login that the agent typed, which may be an alias; empty: not known."""
    on_hook: bool = False
    lead_id: Whole = 0
    """The lead of the agent's call, or of the call whose disposition they have still to choose; 0: none."""
    changed_at_ms: Whole = 0
    """When the collector first saw this status and lead."""
    phone_in_room: bool | None = None
    """Its phone was in its conference room when that was last looked at, which is while the session is new, and
    after its Asterisk has started again; None: not known."""
    screen_silent_since_ms: Whole | None = None
    """When their screen was last heard, if that is more than a minute and a half ago; None: it polls, or that is not
    known."""
    screen_lost: bool = False
    """VICIdial no longer knows the session of their screen, and refuses what it asks: the database was restarted."""
    remote: bool = False
    """`extension` begins with R: no browser, no phone of an alias; VICIdial's balancing does not count them."""

    @property
    def in_wrapup(self) -> bool:
        """True if the call is over, and the agent has still to choose its disposition."""
        return is_wrapup(self.status, self.lead_id)


NO_PEER_STATUS = frozenset({"", "UNKNOWN"})
"""Values of `phones.peer_status` on a dialer whose scripts do not write it."""


class Phone(Row, frozen=True, kw_only=True, gc=False):
    """Key `cluster/phone/LOGIN`: the row of `phones` that a login names."""

    login: str
    server_ip: ServerIp
    extension: str = ""
    active: bool = True
    protocol: str = ""
    webphone: bool = False
    peer_status: str = ""
    """`phones.peer_status`; empty: the schema lacks it."""


class AliasDefect(Code):
    """A defect of an alias that only a collector can find: it compares secrets, and none of them leaves it."""

    TWO_PHONES = "two_phones"
    PASSWORDS_DIFFER = "passwords_differ"
    SECRETS_DIFFER = "secrets_differ"
    LIST_CUT = "list_cut"


class PhoneAlias(Row, frozen=True, kw_only=True, gc=False):
    """Key `cluster/alias/ID`: one login that stands for several phones."""

    alias_id: str
    name: str = ""
    logins: tuple[str, ...]
    """In the order of `logins_list`: on a tie VICIdial takes the last."""
    defects: tuple[AliasDefect, ...] = ()


class Campaign(Row, frozen=True, kw_only=True, gc=False):
    """Key `cluster/campaign/ID`: how a campaign wants its agents grouped."""

    campaign_id: str
    grouping: Grouping = Grouping.DISABLED
    grouping_limit: Whole = 50


class SystemSettings(Row, frozen=True, kw_only=True, gc=False):
    """Key `cluster/settings`: `system_settings`, the weight container, and what this schema lacks."""

    grouping_limit: Whole = 100
    """`system_settings.pllb_grouping_limit`."""
    agent_logout_link: Whole = 1
    weights: dict[ServerIp, float] = {}
    """Settings container AGENT_LOAD_BALANCING_WEIGHT; empty: all dialers weigh the same."""
    missing_columns: tuple[str, ...] = ()
    """`table.column` that this VICIdial is too old to have."""
    secrets_compared: bool = False
    """The collector may read the phones' secrets, and so reports aliases in which they differ."""


Observation = Poll | Outage | EpochClaim | AgentSession | Phone | PhoneAlias | Campaign | SystemSettings


# --- orders -----------------------------------------------------------------------------------------------------


class Order(Record, frozen=True, kw_only=True, gc=False):
    """A person's command to a cluster. A tombstone takes it back."""

    ordered_at_ms: Whole
    by: str
    why: str = ""


class Resynchronise(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/resynchronise`: the collector publishes everything again."""


class Pause(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/pause`: suspend the automation of this cluster."""


class Drain(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/drain/SERVER_IP`: send no new logins there, and move its agents away after their calls."""

    server_ip: ServerIp


class Acknowledge(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/acknowledge/INCIDENT`: a person is working on the incident."""

    incident: str
    silence_until_ms: Whole | None = None


class Move(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/move/USER`: move this agent to the least-loaded of the other dialers."""

    user: str
    live_agent_id: Whole
    """The session to move; a later one of the same user is left alone."""


class Unbrake(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/unbrake`: move agents in spite of the fleet brake of `bad_since_ms`, and of no other."""

    bad_since_ms: Whole


class Unfence(Order, frozen=True, kw_only=True, gc=False):
    """Key `cluster/unfence/SERVER_IP`: open the dialer again that the fence of `planned_at_ms` closed."""

    server_ip: ServerIp
    planned_at_ms: Whole


AnyOrder = Resynchronise | Pause | Drain | Acknowledge | Move | Unbrake | Unfence


# --- logins -----------------------------------------------------------------------------------------------------


class LoginClaim(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A login form that asked in a user's name, and the phone that was picked for it."""

    alias_id: str
    """The phone login that was typed: an alias, or one phone's."""
    phone_login: str
    server_ip: ServerIp
    screen: str = ""
    """The screen that asked, as a digest of something that only that screen knows; empty: not known."""
    visitor: str = ""
    """The visitor of the login page who asked, as a keyed hash of their address; empty: not known."""


class LoginSlot(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/user/USER`: a slot on a dialer that a pick promised, then the login that it became.

    A tombstone: the slot was released or timed out, or the session ended.
    """

    user: str
    alias_id: str
    """The phone login that the agent typed: an alias, or one phone's."""
    campaign_id: str = ""
    phone_login: str
    server_ip: ServerIp
    handed_out_at_ms: Whole
    until_ms: Whole
    replaces: Whole | None = None
    """The `live_agent_id` that this user already had: the slot waits for another row than that."""
    used_by: Whole | None = None
    """The `live_agent_id` of the login it became: it is a slot no more, and records the alias of that agent."""
    planned: bool = False
    """Reserved for an agent who is being moved; otherwise reserved for a login."""
    visitor: str = ""
    """The visitor of the login page whose form asked, as a keyed hash of their address; empty: not known."""
    weighs: bool = True
    """It may count where the next login goes: hotdesk chose the dialer, for a user whom VICIdial has, and who had no
    session, or one on a dialer that was down."""
    claims: tuple[LoginClaim, ...] = ()
    """In a slot: the login forms that asked since the user's latest session was seen. In a login: those that may have
    been this session's, whose screens may ask for its re-login."""
    login: "LoginSlot | None" = None
    """In a slot: the login of the session that the user has meanwhile, since one key holds both."""
    screen: str = ""
    """The screen of the claim that the other fields repeat; in a planned slot that of the session that is moved."""
    asked_by: str = ""
    """In a planned slot of an earlier build, which kept one claim alone: the screen that asked last."""
    handed_out_by: str
    """Name of the process that reserved it; that process ignores the record when it reads it back."""


class HookSight(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/hook/WEB`: when the login hook of a web server last asked, to about a minute."""

    web: str
    """The web server's own name."""
    seen_at_ms: Whole


class Notification(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/notification/RECIPIENT/CONDITION`: a recipient was told of a condition; a tombstone: of its end."""

    recipient: str
    condition: str
    value: str
    """The condition's value then: with another one it is told anew."""
    words: str
    sent_at_ms: Whole
    by: str
    """Name of the process that sent it."""

    @property
    def name(self) -> str:
        """The recipient and the condition: the name in its key."""
        return f"{self.recipient}/{self.condition}"


# --- rankings ---------------------------------------------------------------------------------------------------


class Ineligible(Code):
    """A reason why a dialer, or an alias's phone on it, takes no new login; `messages.words` has the sentences."""

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
    """The state of a dialer."""

    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"
    DRAINING = "draining"
    CLOSED = "closed"
    RECOVERING = "recovering"
    UNKNOWN = "unknown"


class ProbeHistory(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The results of one kind of probe of a dialer."""

    told: ProbeResult
    """The latest result."""
    since_ms: Whole
    """Since when it has been this result, without a gap between polls."""
    credible: bool = False
    """The probe has found the dialer alive once, so its results count."""
    contradicted: bool = False
    """It has failed beside a heartbeat that beats, in this same way, and was not alive since: it confirms no death."""
    absent: bool = False
    """There is no result now: the next one begins anew."""
    failing_since_ms: Whole | None = None
    """When it began to fail, in whatever ways since; None: it does not fail now (it is alive, or denies an account)."""
    alive_until_ms: Whole | None = None
    """When it was last found not to be alive any more, or to say nothing; None: it always was, or never. Until then it
    spoke against the failure of others."""


class DialerHealth(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The detector's state of one dialer, with all it needs at the next poll."""

    state: DialerState
    since_ms: Whole
    """When the dialer entered this state."""
    evidence: str = ""
    """The evidence for the state, in words; empty for a dialer that is simply up."""
    verdict: DialerState = DialerState.UNKNOWN
    """The verdict of the latest poll by itself: up, suspect, down or unknown."""
    life: DialerState = DialerState.UNKNOWN
    """The state regardless of VICIdial's flags and of orders: up, suspect, down, recovering or unknown."""
    life_since_ms: Whole = 0
    confirmed: bool = False
    """A probe confirms that the dialer is down."""
    served: bool = False
    """The dialer has been up once: one that never was is not in service."""
    settled: bool = False
    """It has been down so long that the fleet brake no longer counts it."""
    deaths: Whole = 0
    """How often the dialer went down lately; each time doubles the probation."""
    probation_since_ms: Whole = 0
    probation_until_ms: Whole = 0
    switched_off_since_ms: Whole | None = None
    """Since when `active` is N."""
    advances: tuple[Whole, ...] = ()
    """When its heartbeat has advanced lately."""
    started: str = ""
    """When its Asterisk started, as last known."""
    restarted_after_ms: Whole | None = None
    """The latest `restarted_after_ms` of its readings."""
    started_known_ms: Whole = 0
    """When AMI last said so."""
    started_known_session: Whole = 0
    """The newest `live_agent_id` by then."""
    failed_ms: Whole = 0
    """When a probe of it last failed."""
    interrupted_at_ms: Whole | None = None
    """When its Asterisk was seen to have started again; None: it was not, or the dialer is back since."""
    interrupted: bool = False
    """That alone is why it is down now: only the calls and phones of sessions from before are gone."""
    phones_lost_ms: Whole = 0
    """When the earlier Asterisk was last seen."""
    phones_lost_session: Whole = 0
    """The newest `live_agent_id` by then: those sessions have lost their phones."""
    restart_seen_ms: Whole = 0
    """When the latest new start of its Asterisk was seen."""
    restart_known_session: Whole = 0
    """The newest `live_agent_id` when the new start was seen: sessions between these two have lost their phones if they
    are not seen in their rooms."""
    beating_since_ms: Whole | None = None
    """Since when a dialer that is down beats again; None: it does not."""
    probes: dict[str, ProbeHistory] = {}


class FleetHealth(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """The detector's state of a cluster's dialers after one poll."""

    epoch: Whole = -1
    polled_at_ms: Whole = 0
    steady_since_ms: Whole = 0
    """Since when polls have come without a gap: silence before that does not count against a dialer."""
    dialers: dict[ServerIp, DialerHealth] = {}
    bad_since_ms: Whole | None = None
    """Since when so many dialers look bad that the observer may be at fault."""
    brake: Reason | None = None
    """The fleet brake's reason; None: no brake, or a person released it."""
    braked: tuple[ServerIp, ...] = ()
    """The fleet brake's set: dialers that have looked bad since it took hold and were not up again."""
    counted_since_ms: Whole = 0
    """Silence from before then is void: it was heard while a brake held, which has let go."""
    blind_since_ms: Whole | None = None
    """Since when all probes fail together: the prober itself is at fault then, and they do not count."""


class RankedDialer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of a ranking."""

    server_ip: ServerIp
    server_id: str = ""
    state: DialerState = DialerState.UNKNOWN
    since_ms: Whole = 0
    """When the dialer entered this state."""
    evidence: str = ""
    """The evidence for the state, in words."""
    rank: Whole | None
    """1 is picked next; None: the dialer takes no new login."""
    ineligible_because: tuple[Ineligible, ...] = ()
    agents: Whole
    """Non-remote agents logged in there."""
    slots: Whole
    """Logins promised and not yet seen."""
    load: float
    """The number to rank by: agents and what slots weigh, divided by the dialer's weight where weights are set."""
    rooms_free: Whole
    """Free conference rooms, less the slots of moves."""
    max_agents: Whole | None = None
    heartbeat_stalled_seconds: float | None = None
    """None: no heartbeat row."""


class RankingSnapshot(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: the owner's ranking of a cluster's dialers, least loaded first, and the owner's name."""

    epoch: Whole
    sequence: Whole
    observed_at_ms: Whole
    owner: str
    owner_url: str
    """URL of the owner's API; empty: it has none."""
    dialers: tuple[RankedDialer, ...]
    imbalance: float | None
    """Highest load over mean load of the dialers that take new logins; None: no agents, or no such dialer."""
    outage_since_ms: Whole | None = None
    health: FleetHealth | None = None
    """The detector's state, from which the next owner goes on."""
    acts: bool | None = None
    """The owner's mode is act; None: an older owner, which does not say."""


# --- incidents, actions ----------------------------------------------------------------------------------------


class NotMoved(Code):
    """A reason why an agent of a failed dialer is listed and not moved; `messages.words` has the sentences."""

    REMOTE = "remote"
    NO_ALIAS = "no_alias"
    AMBIGUOUS = "ambiguous"
    NOWHERE = "nowhere"
    NO_BETTER = "no_better"
    MOVED_OFTEN = "moved_often"
    IN_CALL = "in_call"
    IN_WRAPUP = "in_wrapup"
    CALL_LOST = "call_lost"
    STAYED = "stayed"
    NEWER = "newer"
    LEAVING = "leaving"
    """A LOGOUT that is not hotdesk's stands in their row."""
    NOT_PAUSED = "not_paused"
    """The agent waits for calls on a dead dialer, and a pause was refused, or came to nothing."""
    LOGGED_OUT = "logged_out"
    """hotdesk ended their session, and they have not logged in again."""
    NOT_ARRIVED = "not_arrived"
    """The agent was moved, and is not heard."""
    PHONE_LOST = "phone_lost"
    """The dialer is back, and the agent's phone went with the Asterisk of before."""
    UNCONFIRMED = "unconfirmed"


NOT_ARRIVED = frozenset({NotMoved.NOT_ARRIVED, NotMoved.LOGGED_OUT})
"""Reasons of agents whom a move has logged out, and who are not at work again."""


class Listed(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """An agent whom an incident concerns, and who is not being moved or has not arrived."""

    user: str
    live_agent_id: Whole
    why: NotMoved
    phone_login: str = ""
    """The phone that has not come; empty: not known, or not the reason."""
    server_ip: ServerIp = ""
    """The dialer of that phone."""
    peer_status: str = ""
    """Its registration, as `phones.peer_status` has it; empty: not known."""


class Incident(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/incident/ID`: one dialer's trouble, from opening to close; a dialer has one at a time."""

    incident: str
    """Its identifier: the dialer, and when it was opened."""
    server_ip: ServerIp
    kind: DialerState
    """Down, draining or closed."""
    opened_at_ms: Whole
    closed_at_ms: Whole | None = None
    why: str
    """The evidence on which it was opened, confirmed, or its kind changed."""
    confirmed: bool = False
    """A probe confirms the death."""
    in_maintenance: bool = False
    """A maintenance window covers it: no alarm."""
    withheld: Reason | None = None
    """The reason why no agent is moved now; None: moves are not withheld."""
    agents: Whole = 0
    """Non-remote agents who are still on the dialer."""
    moves: Whole = 0
    """Number of moves planned."""
    sent: Whole = 0
    """Number of those agents whose screens were sent a logout."""
    moved: Whole = 0
    """Number of those agents who are logged in on another dialer."""
    arrived: Whole = 0
    """Number of agents whose phones are in their rooms there, or again where they are."""
    listed: tuple[Listed, ...] = ()
    by: str = ""
    """Name of the process that decided."""


class ReloginStage(Code):
    """How far a re-login is."""

    ADVISED = "advised"
    """The cluster's mode is advise: hotdesk would have planned this."""
    HANGING_UP = "hanging_up"
    """The agent's call died with its dialer: the screen is to be sent a hang-up first."""
    WRAPPING_UP = "wrapping_up"
    """The screen was sent a hang-up, and the agent chooses the disposition."""
    PLANNED = "planned"
    SENT = "sent"
    """The agent's screen was sent a logout, or may have been: no answer came."""
    FAILED = "failed"
    """The screen was sent several logouts, and the session is still there."""
    ENDED = "ended"
    """The session ended."""
    MOVED = "moved"
    """The agent is logged in on another dialer."""


class Relogin(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/session/LIVE_AGENT_ID`: the action that moves one session, and its outcome."""

    live_agent_id: Whole
    user: str
    incident: str
    """The incident it belongs to; `order/USER` if a person ordered this move."""
    from_server_ip: ServerIp
    to_server_ip: ServerIp
    alias_id: str = ""
    phone_login: str
    planned_at_ms: Whole
    stage: ReloginStage = ReloginStage.PLANNED
    changed_at_ms: Whole = 0
    attempts: Whole = 1
    """The number of this attempt, 1 for the first."""
    in_call: bool = False
    """The agent has a dead call, or has not disposed it in time: the logout goes with a hang-up and a status."""
    sent_at_ms: Whole | None = None
    """When its screen was last sent a logout, or may have been; None: never."""
    waited: bool = False
    """The agent waited for calls, and is to wait again once they are logged in elsewhere."""
    undisposed: bool = False
    """The time for the agent to choose a disposition is over: the logout is sent without it."""
    dialer_lives: bool = False
    """Calls on the dialer may be alive, as of the latest plan: none is ended, and a room left behind can be closed."""
    forced: bool = False
    """An emergency logout: the screen did not react, so the session is to be ended in VICIdial's own tables."""
    withdrawn: bool = False
    """The reason for it is over. An executor may have begun with it: what it reports decides what is said."""
    late_logouts: Whole = 0
    """LOGOUTs that were given up, and that a web server may still carry out, on the user's next session by then."""
    late_session: Whole | None = None
    """The session for which a slot is reserved because of them."""
    late_until_ms: Whole = 0
    """When hotdesk no longer expects them."""
    answer: str = ""
    """VICIdial's answer, without secrets."""
    by: str = ""
    """Name of the process that decided."""


class AgentPauseStage(Code):
    """How far an agent pause is."""

    ADVISED = "advised"
    """The cluster's mode is advise: hotdesk would have planned this."""
    PLANNED = "planned"
    PAUSED = "paused"
    """The agent's screen was sent a pause, or may have been."""
    GIVEN_UP = "given_up"
    """A person made the agent ready again, the pause was refused, or nothing came of three: hotdesk sends no more."""
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
    attempts: Whole = 1
    seen: bool = False
    """The agent was seen paused after it."""
    mark: str = ""
    """The value of `external_pause` right after it: while it stays so, the pause is ours to take back."""
    answer: str = ""
    by: str = ""
    """Name of the process that decided."""


class ArrivalStage(Code):
    """How far an arrival is."""

    TELLING = "telling"
    """The agent is to be told what happened; the phone has not been seen in its room."""
    AWAITED = "awaited"
    """The phone has not been seen in its room."""
    CALLING = "calling"
    """The phone is to be called again."""
    RESUMING = "resuming"
    """The agent waited for calls before, and their screen is to be sent a resume."""
    ARRIVED = "arrived"
    """The phone is in its room; of an on-hook agent: the screen has settled."""
    LOGGED_IN = "logged_in"
    """It cannot be known whether the phone is in its room."""
    MISSING = "missing"
    """The phone did not come: the agent is listed."""


class Arrival(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/arrival/LIVE_AGENT_ID`: the action that sees an agent's phone into the room of their new session.

    Or of the one that they have, where only the phones are gone since Asterisk has started again.
    """

    live_agent_id: Whole
    """The session: the new one, after a move."""
    user: str
    incident: str
    server_ip: ServerIp
    """The dialer of the new session."""
    phone_login: str = ""
    """The phone that is awaited; empty: not known."""
    since_ms: Whole
    """When the session was first seen; of an agent who is called where they are: when that was planned."""
    here: bool = False
    """The agent was not moved: the phone is called again where they are."""
    starts: Whole = 0
    """The new starts of Asterisk in this incident after which it was called where they are."""
    stage: ArrivalStage = ArrivalStage.AWAITED
    changed_at_ms: Whole = 0
    arrived_at_ms: Whole | None = None
    """When the phone was first seen in its room, or the screen of an on-hook agent had settled; None: not yet."""
    absent: bool = False
    """The phone was seen not to be in its room, and not in it since."""
    resume: bool = False
    """The agent waited for calls before, and has not been made to wait again yet."""
    called: bool = False
    """The phone was called again."""
    notice: str = ""
    """The words for the agent; empty: they are told nothing."""
    answer: str = ""
    by: str = ""
    """Name of the process that decided."""


class ScreenRestoreStage(Code):
    """How far a screen restore is."""

    PLANNED = "planned"
    DONE = "done"
    """VICIdial knows the screen's session again."""
    FAILED = "failed"


class ScreenRestore(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/screen/LIVE_AGENT_ID`: a screen's session, lost with a restart of the database, is put back."""

    live_agent_id: Whole
    user: str
    server_ip: ServerIp
    incident: str = ""
    """Empty: it belongs to no dialer's trouble."""
    planned_at_ms: Whole
    stage: ScreenRestoreStage = ScreenRestoreStage.PLANNED
    changed_at_ms: Whole = 0
    answer: str = ""
    by: str = ""
    """Name of the process that decided."""


class FenceStage(Code):
    """How far a fence is."""

    PLANNED = "planned"
    TAKEN = "taken"
    """`active_agent_login_server` was Y, and hotdesk made it N."""
    NOT_TAKEN = "not_taken"
    """hotdesk has not made it N, for the reason in `answer`, so it is not hotdesk's to set back to Y."""
    LOOKING = "looking"
    """The outcome is not known: whether hotdesk made it N is to be read."""
    UNCLEAR = "unclear"
    """It is not known who made it N, or it could not be opened: that is tried again, or ordered by a person."""
    RETURNING = "returning"
    RETURNED = "returned"


class Fence(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster/fence/SERVER_IP`: a dead dialer is closed to the logins that VICIdial itself would send there."""

    server_ip: ServerIp
    incident: str
    planned_at_ms: Whole
    wanted: bool = True
    """The settings want it. Otherwise it is there because no login hook asks."""
    stage: FenceStage = FenceStage.PLANNED
    taken: bool = False
    """hotdesk made it N, for certain: whatever becomes of opening it again, no person has closed the dialer."""
    was_unclear: bool = False
    """It was not clear once: until hotdesk knows that it made it N, a person may have done so."""
    not_yet: NotFenced | None = None
    """Why it is not taken for the moment; None: that is not looked at again while the dialer is down."""
    changed_at_ms: Whole = 0
    answer: str = ""
    by: str = ""
    """Name of the process that decided."""


Action = Relogin | AgentPause | Arrival | Fence | ScreenRestore
"""An action in VICIdial, and its outcome."""


# --- audit, dead letters ----------------------------------------------------------------------------------------


class Decision(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: one line of the audit: a thing decided, withheld or done, and why."""

    at_ms: Whole
    actor: str
    code: DecisionCode
    what: str
    """The sentence of the code, with its facts."""
    why: str
    subject: str = ""
    """The dialer, agent, alias or order concerned."""


class DeadLetter(Record, frozen=True, kw_only=True, gc=False):
    """Key `cluster`: a record that could not be decoded, and why. If `cluster` is unreadable too, it is empty."""

    topic: Topic
    partition: Whole
    offset: Whole
    key: str
    why: str
    value_base64: str


Kept = HookSight | Notification
"""Records of what was seen or told, by which nothing is decided."""
AnyRecord = Observation | AnyOrder | LoginSlot | Kept | RankingSnapshot | Incident | Action | Decision | DeadLetter
