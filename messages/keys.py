"""The key of each record: of all records under one key, the newest counts."""

from messages.records import (
    Acknowledge,
    AgentPause,
    AgentSession,
    Arrival,
    Campaign,
    Drain,
    EpochClaim,
    Fence,
    HookSight,
    Incident,
    LoginSlot,
    Move,
    Notification,
    Outage,
    Pause,
    Phone,
    PhoneAlias,
    Record,
    Relogin,
    Resynchronise,
    ScreenRestore,
    SystemSettings,
    Unbrake,
    Unfence,
)
from messages.topics import Key

KIND_AGENT = "agent"
KIND_ALIAS = "alias"
KIND_CAMPAIGN = "campaign"
KIND_PHONE = "phone"
KIND_SESSION = "session"
KIND_AGENT_PAUSE = "agent_pause"
KIND_ARRIVAL = "arrival"
KIND_FENCE = "fence"
KIND_SCREEN = "screen"
KIND_HOOK = "hook"
KIND_NOTIFICATION = "notification"
KIND_EPOCH = "epoch"
"""Among the orders: which epoch has begun. No record, since a hotdesk of any version must read it."""

_KINDS: dict[type[Record], tuple[str, str]] = {
    AgentSession: (KIND_AGENT, "user"),
    Phone: (KIND_PHONE, "login"),
    PhoneAlias: (KIND_ALIAS, "alias_id"),
    Campaign: (KIND_CAMPAIGN, "campaign_id"),
    SystemSettings: ("settings", ""),
    Outage: ("outage", ""),
    EpochClaim: ("epoch_claim", ""),
    Resynchronise: ("resynchronise", ""),
    Pause: ("pause", ""),
    Drain: ("drain", "server_ip"),
    Acknowledge: ("acknowledge", "incident"),
    Move: ("move", "user"),
    Unbrake: ("unbrake", ""),
    Unfence: ("unfence", "server_ip"),
    LoginSlot: ("user", "user"),
    HookSight: (KIND_HOOK, "web"),
    Notification: (KIND_NOTIFICATION, "name"),
    Incident: ("incident", "incident"),
    Relogin: (KIND_SESSION, "live_agent_id"),
    AgentPause: (KIND_AGENT_PAUSE, "live_agent_id"),
    Arrival: (KIND_ARRIVAL, "live_agent_id"),
    Fence: (KIND_FENCE, "server_ip"),
    ScreenRestore: (KIND_SCREEN, "live_agent_id"),
}
"""The kind in a record's key, and the field that names it. The key of a type not listed is its cluster's name alone."""


def key_of(record: Record) -> Key:
    """Return the key of a record."""
    kind, field = _KINDS.get(type(record), ("", ""))
    return Key(record.cluster, kind, str(getattr(record, field)) if field else "")
