"""The names of all metrics: dashboards and alerts are written against this table.

Times are timestamps, not ages. A label is `cluster`, `server_ip`, `server_id` or one of a short fixed list; never a
user or a call.
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
DIALER_ELIGIBLE = Metric(
    "hotdesk_dialer_eligible",
    "1: the dialer takes new logins; 0 too while nothing is known (no poll for 5 s).",
    _DIALER,
)
DIALER_RANK = Metric(
    "hotdesk_dialer_rank", "Place in the ranking, 1 is next; 0: takes no new logins, or nothing is known.", _DIALER
)
DIALER_SLOTS = Metric("hotdesk_dialer_slots", "Logins handed out and not seen yet.", _DIALER)
DIALER_ROOMS_FREE = Metric("hotdesk_dialer_rooms_free", "Free conference rooms, slots taken off.", _DIALER)
DIALER_PLACES_FREE = Metric(
    "hotdesk_dialer_places_free",
    "How many more agents the dialer may take: free rooms, or what max_agents leaves; 0 where it takes no logins.",
    _DIALER,
)
DIALER_HEARTBEAT = Metric(
    "hotdesk_dialer_heartbeat_progress_timestamp_seconds", "When the heartbeat last advanced; 0: not seen yet.", _DIALER
)
DIALER_SKEW = Metric(
    "hotdesk_dialer_clock_skew_seconds", "The dialer's clock minus the database's, about a second exact.", _DIALER
)
PROBE = Metric("hotdesk_probe", "1: what this probe of a dialer last told is this state.", (*_DIALER, "probe", "state"))

DIALER_STATE = Metric("hotdesk_dialer_state", "1: the dialer is judged to be in this state.", (*_DIALER, "state"))
DIALER_DEATHS = Metric(
    "hotdesk_dialer_deaths", "How often the dialer died lately; forgotten once it stayed up for 30 minutes.", _DIALER
)
INCIDENT_OPEN = Metric("hotdesk_incident_open", "1: the dialer has an open incident of this kind.", (*_DIALER, "kind"))
INCIDENT_AGENTS = Metric("hotdesk_incident_agents", "Agents still on a dialer that has an open incident.", _DIALER)
INCIDENT_NOT_MOVED = Metric(
    "hotdesk_incident_agents_not_moved", "Agents that an open incident lists as not moved.", _DIALER
)
INCIDENT_OPENED = Metric(
    "hotdesk_incident_opened_timestamp_seconds",
    "When the open incident of a dialer was opened, in the log's time.",
    _DIALER,
)
INCIDENT_EXPECTED = Metric(
    "hotdesk_incident_expected",
    "1: the open incident is no cause for alarm: a maintenance window, or a dialer that somebody had emptied died.",
    _DIALER,
)
INCIDENT_MOVES = Metric(
    "hotdesk_incident_moves",
    "Moves of an open incident, by the dialer they go to and how far they have come.",
    (*_DIALER, "to_server_ip", "stage"),
)

CLUSTER_IMBALANCE = Metric(
    "hotdesk_cluster_imbalance_ratio", "Most over mean load of the dialers that take logins.", ("cluster",)
)
CLUSTER_OBSERVED = Metric(
    "hotdesk_cluster_observed_timestamp_seconds", "The log's time of the latest poll.", ("cluster",)
)
CLUSTER_SLOTS = Metric("hotdesk_cluster_slots", "Slots held.", ("cluster",))
CLUSTER_ODD_ROWS = Metric(
    "hotdesk_cluster_odd_rows", "Rows of VICIdial's that do not fit, by kind.", ("cluster", "kind")
)
CLUSTER_DATABASE_UP = Metric(
    "hotdesk_cluster_database_up", "0: the latest news is that the database does not answer.", ("cluster",)
)
CLUSTER_OWNED = Metric("hotdesk_cluster_owned", "1: this process owns the cluster and decides for it.", ("cluster",))
CLUSTER_FORGOTTEN = Metric(
    "hotdesk_cluster_forgotten", "1: the cluster is no more, and somebody had it forgotten.", ("cluster",)
)

INCIDENT_SILENCED = Metric(
    "hotdesk_incident_silenced",
    "1: somebody is on the incident and has silenced it for a while.",
    ("cluster", "server_ip", "server_id"),
)
FENCE = Metric(
    "hotdesk_fence", "Fences by stage: 1 for the one it has come to.", ("cluster", "server_ip", "server_id", "stage")
)
CLUSTER_AGENT_PAUSES = Metric("hotdesk_cluster_agent_pauses", "Agent pauses, by stage.", ("cluster", "stage"))
CLUSTER_BRAKED = Metric(
    "hotdesk_cluster_braked",
    "1: nobody is moved, for whatever doubt of ourselves: the fleet brake, missing polls, blind probes.",
    ("cluster",),
)
CLUSTER_FLEET_BRAKED = Metric(
    "hotdesk_cluster_fleet_braked",
    "1: more than half of the dialers in service look bad at once, and nobody is moved for that.",
    ("cluster",),
)
CLUSTER_PAUSED = Metric("hotdesk_cluster_paused", "1: the cluster is only observed, by order.", ("cluster",))
CLUSTER_PROBES_BLIND = Metric(
    "hotdesk_cluster_probes_blind", "1: the probes of all dialers fail at once, and have no vote.", ("cluster",)
)
CLUSTER_AGENTS_PLACED = Metric(
    "hotdesk_cluster_agents_placed", "Agents who are logged in where a pick of hotdesk's has sent them.", ("cluster",)
)
CLUSTER_MOVES = Metric("hotdesk_cluster_moves", "Moves of open incidents, by stage.", ("cluster", "stage"))

COLLECTOR_LEADING = Metric(
    "hotdesk_collector_leading", "1: this collector works for the cluster; 0: it stands by.", ("cluster",)
)
POLL_SECONDS = Metric("hotdesk_poll_seconds", "How long a poll took, statements and records together.", ("cluster",))
POLL_ROWS = Metric("hotdesk_poll_rows", "Rows that polls read.", ("cluster",))
POLL_STATEMENTS = Metric("hotdesk_poll_statements", "Statements that polls ran.", ("cluster",))
POLL_ERRORS = Metric("hotdesk_poll_errors", "Polls that failed: unavailable, refused or failed.", ("cluster", "kind"))
RECORDS_PUBLISHED = Metric("hotdesk_records_published", "Records handed to the log.", ("cluster",))
OUTBOX_RECORDS = Metric("hotdesk_outbox_records", "Records that wait for the log.")

RECORDS_FOLDED = Metric("hotdesk_records_folded", "Records taken in, by what they did.", ("cluster", "result"))
FOLD_SECONDS = Metric("hotdesk_fold_seconds", "How long a batch of records took to fold.")
CONSUMER_LAG = Metric("hotdesk_consumer_lag_records", "Offsets between this process and the end of the log.")
PICK_SECONDS = Metric("hotdesk_pick_seconds", "How long a pick took inside this process, forwarding included.")
READINESS_FINDINGS = Metric(
    "hotdesk_readiness_findings",
    "What hot-desking needs of a VICIdial and lacks, by kind; looked at once a minute.",
    ("cluster", "severity", "kind"),
)
PICKS = Metric("hotdesk_picks", "Picks answered, by outcome.", ("cluster", "outcome"))
RATE_LIMITED = Metric(
    "hotdesk_rate_limited",
    "Picks and orders refused for being too many: by this client, for this cluster, or orders by this client.",
    ("cluster", "limit"),
)
ACTIONS = Metric(
    "hotdesk_actions",
    "What was done in VICIdial: relogin, agent_pause or fence, by what came of it.",
    ("cluster", "action", "reply"),
)
PAGE_VIEWERS = Metric("hotdesk_page_viewers", "Open status pages that are kept up to date.")
TOKENS_REFUSED = Metric("hotdesk_tokens_refused", "Requests whose token was none of the token file's, or absent.")
SCOPE_REFUSED = Metric("hotdesk_scope_refused", "Requests whose token is known and of too low a scope.")
ROLE = Metric("hotdesk_role", "1, for each role of the process; log is kafka or file.", ("role", "log"))
BUILD_INFO = Metric("hotdesk_build_info", "1, with what is running.", ("version", "python"))
