"""The names of all metrics: dashboards and alerts are written against this table.

Times are timestamps, not ages. A label is `cluster`, `server_ip`, `server_id`, `web` or one of a short fixed list;
never a user or a call.
"""

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric's name, help text and labels, in the order in which prometheus-client's constructors take them."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


_DIALER = ("cluster", "server_ip", "server_id")

DIALER_AGENTS = Metric("hotdesk_dialer_agents", "Non-remote agents on a dialer, by status.", (*_DIALER, "status"))
DIALER_REMOTE_AGENTS = Metric("hotdesk_dialer_remote_agents", "Remote agents on a dialer.", _DIALER)
DIALER_SILENT_SCREENS = Metric(
    "hotdesk_dialer_silent_screens",
    "Agents on a dialer whose screen has asked VICIdial for nothing for 90 s.",
    _DIALER,
)
DIALER_LOST_SCREENS = Metric(
    "hotdesk_dialer_lost_screens", "Agents on a dialer whose screen VICIdial no longer knows.", _DIALER
)
DIALER_ELIGIBLE = Metric(
    "hotdesk_dialer_eligible",
    "1: the dialer takes new logins; also 0 while the cluster is stale (no poll for 5 s).",
    _DIALER,
)
DIALER_RANK = Metric(
    "hotdesk_dialer_rank", "Rank of the dialer, 1 is next; 0: it takes no new logins, or the cluster is stale.", _DIALER
)
DIALER_SLOTS = Metric("hotdesk_dialer_slots", "Slots: logins promised to the dialer and not yet seen.", _DIALER)
DIALER_ROOMS_FREE = Metric("hotdesk_dialer_rooms_free", "Free conference rooms, less the slots of moves.", _DIALER)
DIALER_PLACES_FREE = Metric(
    "hotdesk_dialer_places_free",
    "How many more agents the dialer may take: free rooms, or what max_agents leaves; 0 if it takes no new logins.",
    _DIALER,
)
DIALER_HEARTBEAT = Metric(
    "hotdesk_dialer_heartbeat_progress_timestamp_seconds", "When the heartbeat last advanced; 0: not yet.", _DIALER
)
DIALER_SKEW = Metric(
    "hotdesk_dialer_clock_skew_seconds", "The dialer's clock minus the database's, to about a second.", _DIALER
)
PROBE = Metric("hotdesk_probe", "1: the latest result of this probe of a dialer.", (*_DIALER, "probe", "state"))

DIALER_STATE = Metric("hotdesk_dialer_state", "1: the dialer is in this state.", (*_DIALER, "state"))
DIALER_DEATHS = Metric(
    "hotdesk_dialer_deaths", "How often the dialer went down lately; 0 again after 30 minutes up.", _DIALER
)
INCIDENT_OPEN = Metric("hotdesk_incident_open", "1: the dialer has an open incident of this kind.", (*_DIALER, "kind"))
INCIDENT_AGENTS = Metric("hotdesk_incident_agents", "Agents still on a dialer that has an open incident.", _DIALER)
INCIDENT_NOT_MOVED = Metric(
    "hotdesk_incident_agents_not_moved", "Agents that the open incident of a dialer lists as not moved.", _DIALER
)
INCIDENT_NOT_ARRIVED = Metric(
    "hotdesk_incident_agents_not_arrived",
    "Agents that the incident of a dialer lists as not back: moved, and not logged in or without their phones; or, once"
    " it is closed, where they were, without the phones that Asterisk's end has taken from them.",
    _DIALER,
)
INCIDENT_OPENED = Metric(
    "hotdesk_incident_opened_timestamp_seconds",
    "When the open incident of a dialer was opened, in the log's time.",
    _DIALER,
)
INCIDENT_EXPECTED = Metric(
    "hotdesk_incident_expected",
    "1: the open incident needs no alarm: a maintenance window covers it, or the dialer had been drained before.",
    _DIALER,
)
INCIDENT_MOVES = Metric(
    "hotdesk_incident_moves",
    "Moves of an open incident, by target dialer and stage.",
    (*_DIALER, "to_server_ip", "stage"),
)

CLUSTER_IMBALANCE = Metric(
    "hotdesk_cluster_imbalance_ratio", "Highest load over mean load of the dialers that take new logins.", ("cluster",)
)
CLUSTER_OBSERVED = Metric(
    "hotdesk_cluster_observed_timestamp_seconds", "The log's time of the latest poll.", ("cluster",)
)
CLUSTER_SLOTS = Metric("hotdesk_cluster_slots", "Slots in the whole cluster.", ("cluster",))
CLUSTER_SLOTS_UNUSED = Metric(
    "hotdesk_cluster_slots_unused",
    "Slots of login forms that came to nothing so far: a login shows that asked 5 s later, or none shows for 10 s.",
    ("cluster",),
)
CLUSTER_ODD_ROWS = Metric(
    "hotdesk_cluster_odd_rows", "Rows of VICIdial's that do not fit, by kind.", ("cluster", "kind")
)
TABLE_UNREAD = Metric(
    "hotdesk_table_unread_seconds",
    "Seconds for which a table of VICIdial's has not been read, while it cannot be.",
    ("cluster", "table"),
)
CLUSTER_DOUBTED = Metric(
    "hotdesk_cluster_doubted",
    "1: for this reason of the collector's nothing is acted on: another installation, or a replica.",
    ("cluster", "reason"),
)
CLUSTER_DATABASE_UP = Metric(
    "hotdesk_cluster_database_up", "0: by the latest record the database does not answer.", ("cluster",)
)
CLUSTER_OWNED = Metric("hotdesk_cluster_owned", "1: this process owns the cluster and decides for it.", ("cluster",))
CLUSTER_FORGOTTEN = Metric(
    "hotdesk_cluster_forgotten", "1: the cluster was removed with `hotdesk forget`.", ("cluster",)
)

INCIDENT_SILENCED = Metric(
    "hotdesk_incident_silenced",
    "1: the incident is acknowledged, and silenced for a while.",
    ("cluster", "server_ip", "server_id"),
)
FENCE = Metric(
    "hotdesk_fence", "1: the fence of a dialer is at this stage.", ("cluster", "server_ip", "server_id", "stage")
)
CLUSTER_AGENT_PAUSES = Metric("hotdesk_cluster_agent_pauses", "Agent pauses, by stage.", ("cluster", "stage"))
CLUSTER_ARRIVALS = Metric(
    "hotdesk_cluster_arrivals", "Agents who were moved and are logged in again, by stage.", ("cluster", "stage")
)
CLUSTER_BRAKED = Metric(
    "hotdesk_cluster_braked",
    "1: no agent is moved, since hotdesk may be at fault: the fleet brake, missing polls, blind probes.",
    ("cluster",),
)
CLUSTER_FLEET_BRAKED = Metric(
    "hotdesk_cluster_fleet_braked",
    "1: more than half of the dialers in service look bad at once, so no agent is moved.",
    ("cluster",),
)
CLUSTER_PAUSED = Metric(
    "hotdesk_cluster_paused", "1: the cluster is suspended, by a person or by hotdesk itself.", ("cluster",)
)
CLUSTER_PROBES_BLIND = Metric(
    "hotdesk_cluster_probes_blind", "1: the probes of all dialers fail at once, so they do not count.", ("cluster",)
)
HOOK_SEEN = Metric(
    "hotdesk_hook_seen_timestamp_seconds",
    "When the login hook of a web server last asked, in the log's time, to about a minute.",
    ("cluster", "web"),
)
CLUSTER_AGENTS_PLACED = Metric(
    "hotdesk_cluster_agents_placed", "Agents logged in on the dialer that a pick sent them to.", ("cluster",)
)
CLUSTER_MOVES = Metric("hotdesk_cluster_moves", "Moves of open incidents, by stage.", ("cluster", "stage"))

COLLECTOR_LEADING = Metric(
    "hotdesk_collector_leading", "1: this collector is the cluster's leader; 0: it is a standby.", ("cluster",)
)
COLLECTOR_CLOCK_AHEAD = Metric(
    "hotdesk_collector_clock_ahead_seconds",
    "The database's clock, or the log's when the epoch began, minus this machine's; of a leader.",
    ("cluster", "of"),
)
POLL_SECONDS = Metric("hotdesk_poll_seconds", "How long a poll took, statements and records together.", ("cluster",))
POLL_ROWS = Metric("hotdesk_poll_rows", "Rows that polls read.", ("cluster",))
POLL_STATEMENTS = Metric("hotdesk_poll_statements", "Statements that polls ran.", ("cluster",))
STATEMENTS_FAILED = Metric(
    "hotdesk_statements_failed",
    "Statements that failed, by their name, while flags and heartbeats went on being read.",
    ("cluster", "statement"),
)
POLL_ERRORS = Metric("hotdesk_poll_errors", "Polls that failed: unavailable, refused or failed.", ("cluster", "kind"))
RECORDS_PUBLISHED = Metric("hotdesk_records_published", "Records queued for the log.", ("cluster",))
OUTBOX_RECORDS = Metric("hotdesk_outbox_records", "Records that wait to be appended to the log.", ("topic",))
OUTBOX_FAILING = Metric(
    "hotdesk_outbox_failing_clusters", "Clusters of which the log takes no records of a topic.", ("topic",)
)
OUTBOX_DROPPED = Metric(
    "hotdesk_outbox_dropped_records", "Records that were dropped, since too many waited for the log.", ("topic",)
)

RECORDS_FOLDED = Metric("hotdesk_records_folded", "Records folded, by result.", ("cluster", "result"))
FOLD_SECONDS = Metric("hotdesk_fold_seconds", "How long a batch of records took to fold.")
CONSUMER_LAG = Metric("hotdesk_consumer_lag_records", "Offsets between this process and the end of the log.")
BACKLOG_RECORDS = Metric("hotdesk_backlog_records", "Records that were read from the log and wait to be folded.")
PICK_SECONDS = Metric("hotdesk_pick_seconds", "How long a pick took inside this process, forwarding included.")
READINESS_FINDINGS = Metric(
    "hotdesk_readiness_findings",
    "Findings of the readiness check, by kind; checked once a minute.",
    ("cluster", "severity", "kind"),
)
LOGINS_KEPT_OFF = Metric(
    "hotdesk_logins_kept_off",
    "Picks for an alias with a phone on a dead dialer, which sent the login to another one.",
    ("cluster",),
)
MOVE_SECONDS = Metric(
    "hotdesk_move_seconds",
    "How long a move took, from its plan until the agent was logged in on another dialer.",
    ("cluster",),
)
PICKS = Metric("hotdesk_picks", "Picks answered, by outcome.", ("cluster", "outcome"))
RATE_LIMITED = Metric(
    "hotdesk_rate_limited",
    "Requests refused by a rate limit: of a client's, a visitor's or a cluster's picks, of questions of screens for "
    "their re-login, or of a client's orders.",
    ("cluster", "limit"),
)
ACTIONS = Metric(
    "hotdesk_actions",
    "Actions in VICIdial (relogin, agent_pause, arrival, fence or screen_restore), by outcome.",
    ("cluster", "action", "reply"),
)
ACTION_IN_PROGRESS = Metric(
    "hotdesk_action_in_progress_seconds",
    "How long the oldest action in progress has taken so far, its time limits included; 0: none is in progress.",
    ("cluster",),
)
ACTIONS_WAITING = Metric(
    "hotdesk_actions_waiting",
    "Actions that are committed and wait for their turn, or for the pace of moves.",
    ("cluster",),
)
NOTIFICATIONS_WAITING = Metric(
    "hotdesk_notifications_waiting",
    "Notifications that wait for a recipient; the one that is being sent is not among them.",
    ("recipient",),
)
NOTIFICATIONS = Metric(
    "hotdesk_notifications",
    "Notifications to recipients outside, by outcome (sent or failed).",
    ("recipient", "outcome"),
)
PAGE_VIEWERS = Metric("hotdesk_page_viewers", "Open status pages that receive updates.")
CONNECTIONS_REFUSED = Metric(
    "hotdesk_connections_refused",
    "Connections to the API that were hung up on: too many of them, a request too long, too slow or too many at once.",
)
TOKENS_REFUSED = Metric("hotdesk_tokens_refused", "Requests without a token, or with one that the token file lacks.")
SCOPE_REFUSED = Metric("hotdesk_scope_refused", "Requests with a known token whose scope is too low.")
ROLE = Metric("hotdesk_role", "1, for each role of the process; log is kafka or file.", ("role", "log"))
BUILD_INFO = Metric("hotdesk_build_info", "1, with what is running.", ("version", "python"))
