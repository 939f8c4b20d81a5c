"""One cluster, or several beside each other: logins and moves, dialers, and hotdesk's own pipeline."""

from grafana_foundation_sdk.builders import stat, statetimeline, timeseries
from grafana_foundation_sdk.models import dashboard as models

from dashboards import meanings
from dashboards.board import CLUSTERS, SERIES_TO_FAILOVER, Row, board
from dashboards.conditions import BLIND_SECONDS, CONDITION, SEEN_AGO, WORDS
from dashboards.panels import (
    ANY_IS_BAD,
    BYTES,
    COUNT,
    GREEN,
    GREY,
    NUMBER,
    PER_SECOND,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    About,
    Ask,
    graph,
    number,
    timeline,
)
from dashboards.queries import (
    BY_DIALER,
    DIALER,
    age,
    coded,
    count,
    latest,
    process,
    quantile,
    rate,
    series,
    told,
    total,
)
from messages import metrics

EACH_DIALER = "{{cluster}} {{server_ip}}"
_AGENTS = total(metrics.DIALER_AGENTS)
_BY_POLLS = "While no polls come it keeps its last value."


def dashboard() -> models.Dashboard:
    """Make it."""
    shows = "Logins and moves, dialers, and hotdesk's own pipeline: rate, errors, duration, saturation."
    return board(CLUSTERS, shows, _rows(), since="now-1h", by_dialer=True)


def _rows() -> list[Row]:
    return [
        Row("Now", [*_now(), _condition()]),
        Row(
            "Logins and moves",
            [_agents(), _statuses(), _picks(), _placed(), _slots(), _moves(), _errands(), _holds(), _findings()],
        ),
        Row(
            "Dialers",
            [_states(), _eligible(), _ranks(), _stalls(), _witnesses(), _skews(), _rooms(), _places(), _imbalance()],
        ),
        Row("Pipeline: rate", [_polls(), _records(), _pick_rate()]),
        Row("Pipeline: errors", [_poll_errors(), _bad_records(), _bad_picks(), _refused_tokens()]),
        Row("Pipeline: duration", [_poll_seconds(), _fold_seconds(), _pick_seconds()]),
        Row("Pipeline: saturation", [_lag(), _outbox(), _ages(), _processors(), _memory(), _files()]),
    ]


def _now() -> list[stat.Panel]:
    return [
        number(_small("Agents", "Agents logged in, remote agents not among them."), Ask(_AGENTS, "{{cluster}}")),
        number(
            _small("Dialers up", "Dialers that are judged up. Normally all that are switched on."),
            Ask(total(metrics.DIALER_STATE, meanings.UP), "{{cluster}}"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            _small("Taking logins", "Dialers that new logins are sent to. Normally all that are up."),
            Ask(total(metrics.DIALER_ELIGIBLE), "{{cluster}}"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            _small("Places free", "How many more agents those dialers may take."),
            Ask(total(metrics.DIALER_PLACES_FREE), "{{cluster}}"),
            limits=((None, RED), (1, GREEN)),
        ),
        number(
            _small("Open incidents", "Dialers whose agents are being moved. Normally 0."),
            Ask(f"sum({latest(metrics.INCIDENT_OPEN)}) or vector(0)", "open"),
            limits=ANY_IS_BAD,
        ),
        number(
            _small("Slots", "Logins handed out and not seen yet. Normally few, and none for longer than 30 s."),
            Ask(latest(metrics.CLUSTER_SLOTS), "{{cluster}}"),
        ),
        number(
            _small(
                "Seen",
                f"Age of the latest poll. Normally below 2 s; above {BLIND_SECONDS} s nothing is offered.",
                SECONDS,
            ),
            Ask(SEEN_AGO, "{{cluster}}"),
            limits=((None, GREEN), (2, YELLOW), (BLIND_SECONDS, RED)),
        ),
        number(
            _small("Processes that decide", "Owners of the cluster. Exactly one is right."),
            Ask(f"sum by (cluster) ({series(metrics.CLUSTER_OWNED)})", "{{cluster}}"),
            limits=((None, RED), (1, GREEN), (2, RED)),
        ),
    ]


def _small(title: str, shows: str, unit: str = COUNT) -> About:
    return About(title, shows, unit, width=3, height=4)


def _condition() -> statetimeline.Panel:
    return timeline(
        About(
            "Condition",
            "The worst that can be said of the cluster. Normally well; an incident or a brake should end by itself.",
            NUMBER,
            width=24,
            height=4,
            runbooks=(
                "HotdeskClusterBraked",
                "HotdeskMovesWithheld",
                "HotdeskClusterPaused",
                "HotdeskNoController",
                "HotdeskCollectorBlind",
                "HotdeskDatabaseUnreachable",
            ),
        ),
        Ask(CONDITION, "{{cluster}}"),
        WORDS,
    )


def _agents() -> timeseries.Panel:
    return graph(
        About(
            "Agents by dialer",
            f"Agents on each of the chosen dialers. Normally even, but for weights and rules of campaigns. {_BY_POLLS}",
            runbooks=("HotdeskImbalance",),
        ),
        Ask(total(metrics.DIALER_AGENTS, DIALER, by=BY_DIALER), EACH_DIALER),
        stacked=True,
    )


def _statuses() -> timeseries.Panel:
    return graph(
        About(
            "Agents by status",
            f"What the agents of the chosen dialers do, by VICIdial's status; and remote agents. {_BY_POLLS}",
        ),
        Ask(total(metrics.DIALER_AGENTS, DIALER, by=("status",)), "{{status}}"),
        Ask(f"sum({latest(metrics.DIALER_REMOTE_AGENTS, DIALER)})", "remote agents"),
        stacked=True,
    )


def _picks() -> timeseries.Panel:
    return graph(
        About(
            "Picks by outcome",
            "Answers to logins that asked. Degraded: a replica answered alone, for the owner did not. Refused: "
            "VICIdial chooses. Normally all are picked.",
            runbooks=("HotdeskHookErrors", "HotdeskNoLogins"),
        ),
        Ask(count(metrics.PICKS, by=("outcome",)), "{{outcome}}"),
        colours=meanings.PICKS,
        stacked=True,
    )


def _placed() -> timeseries.Panel:
    others = f"{_AGENTS} - {latest(metrics.CLUSTER_AGENTS_PLACED)}"
    return graph(
        About(
            "Agents by who chose their dialer",
            "Agents who are where a pick of hotdesk's has sent them, and all others, for whom VICIdial chose. Where "
            "every web server has the login hook, nearly all are placed by hotdesk.",
            runbooks=("HotdeskLoginsPastHook",),
        ),
        Ask(latest(metrics.CLUSTER_AGENTS_PLACED), "{{cluster}}: hotdesk"),
        Ask(others, "{{cluster}}: VICIdial"),
        stacked=True,
    )


def _slots() -> timeseries.Panel:
    return graph(
        About(
            "Slots by dialer",
            "Logins handed out and not seen yet: they count as agents until they are seen, or for 30 s. Normally "
            "few; many that stay are logins that were given a phone and did not take it.",
        ),
        Ask(latest(metrics.DIALER_SLOTS, DIALER), EACH_DIALER),
        stacked=True,
    )


def _moves() -> timeseries.Panel:
    return graph(
        About(
            "Moves by stage",
            "Moves of open incidents: ordered, told to log out, ended, home. Normally none; in an incident all end "
            "up home. Advised means that this cluster is only observed.",
            runbooks=("HotdeskMoveFailed",),
        ),
        Ask(total(metrics.CLUSTER_MOVES, by=("stage",)), "{{stage}}"),
        colours=meanings.MOVES,
        stacked=True,
    )


def _errands() -> timeseries.Panel:
    return graph(
        About(
            "Errands by reply",
            "What hotdesk did in VICIdial (relogin, hold, fence), and what came of it. Normally nothing outside an "
            "incident, and then done. Denied: the account may not, and the cluster is paused.",
            runbooks=("HotdeskMoveFailed", "HotdeskClusterPaused"),
        ),
        Ask(count(metrics.ERRANDS, by=("errand", "reply")) + " > 0", "{{errand}}: {{reply}}"),
        stacked=True,
    )


def _holds() -> timeseries.Panel:
    return graph(
        About(
            "Agents kept from calls",
            "Agents of a dead dialer who are paused so that no call is sent to them, by how far that has come. "
            "Normally none.",
        ),
        Ask(total(metrics.CLUSTER_HOLDS, by=("stage",)), "{{stage}}"),
        colours=meanings.HOLDS,
        stacked=True,
    )


def _findings() -> timeseries.Panel:
    return graph(
        About(
            "What the audit found",
            "What hot-desking needs of VICIdial and lacks, by severity; hotdesk audit says where, and how to mend "
            "it. Normally no error.",
            width=24,
            height=6,
            runbooks=("HotdeskAliasDefects",),
        ),
        Ask(total(metrics.AUDIT_FINDINGS, by=("cluster", "severity")), "{{cluster}}: {{severity}}"),
    )


def _states() -> statetimeline.Panel:
    return timeline(
        About(
            "State of each dialer",
            f"What each dialer is judged to be. Normally up. {_BY_POLLS}",
            NUMBER,
            width=24,
            height=10,
            runbooks=(
                "HotdeskDialerDown",
                "HotdeskDialerHung",
                "HotdeskDialerSuspect",
                "HotdeskDrainingTooLong",
                "HotdeskDialerFlapping",
            ),
        ),
        Ask(coded(metrics.DIALER_STATE, "state", meanings.codes(meanings.STATES), DIALER), EACH_DIALER),
        meanings.words(meanings.STATES),
        to=SERIES_TO_FAILOVER,
    )


def _eligible() -> statetimeline.Panel:
    return timeline(
        About(
            "Takes new logins",
            "Whether new logins are sent to each dialer. Normally yes, where it is up; hotdesk explain says why "
            "not. No too while no polls come.",
            NUMBER,
            height=10,
            runbooks=("HotdeskNoLogins",),
        ),
        Ask(latest(metrics.DIALER_ELIGIBLE, DIALER), EACH_DIALER),
        {1: ("yes", GREEN), 0: ("no", GREY)},
    )


def _ranks() -> timeseries.Panel:
    return graph(
        About(
            "Rank",
            "Place of each dialer in the ranking: 1 is next, 0 takes no new logins. Normally it changes with every "
            "login.",
            NUMBER,
            height=10,
        ),
        Ask(latest(metrics.DIALER_RANK, DIALER), EACH_DIALER),
    )


def stalls(width: int) -> timeseries.Panel:
    """Make the panel of heartbeats that stand still."""
    observed, progress = told(series(metrics.CLUSTER_OBSERVED)), series(metrics.DIALER_HEARTBEAT, DIALER)
    stalled = f"({observed}) - on (cluster, instance) group_right () ({progress} > 0)"
    return graph(
        About(
            "Heartbeat stands still",
            "How long each dialer's heartbeat has not advanced, at the latest poll. Normally below 2 s. From 2.5 s "
            "it is suspect; from 3.5 s down if a witness confirms, from 8 s without one.",
            SECONDS,
            width=width,
            runbooks=("HotdeskDialerDown", "HotdeskDialerSuspect"),
        ),
        Ask(f"max by ({', '.join(BY_DIALER)}) ({stalled})", EACH_DIALER),
        limits=((None, GREEN), (2.5, YELLOW), (8, RED)),
    )


def _stalls() -> timeseries.Panel:
    return stalls(width=12)


def witnesses(width: int, height: int) -> statetimeline.Panel:
    """Make the panel of what witnesses tell."""
    return timeline(
        About(
            "What witnesses tell",
            "What each dialer's own ports answer, where hotdesk may ask them. Normally alive. Mute: it hangs; "
            "refused: nobody listens; unreachable: maybe our path; denied: the account is wrong. Empty where "
            "nothing is asked.",
            NUMBER,
            width=width,
            height=height,
            runbooks=("HotdeskDialerHung", "HotdeskWitnessesBlind"),
        ),
        Ask(
            coded(metrics.WITNESS, "state", meanings.codes(meanings.WITNESSES), DIALER),
            f"{EACH_DIALER} {{{{witness}}}}",
        ),
        meanings.words(meanings.WITNESSES),
    )


def _witnesses() -> statetimeline.Panel:
    return witnesses(width=12, height=8)


def _skews() -> timeseries.Panel:
    return graph(
        About(
            "Clock skew",
            "Each dialer's clock minus the database's, about a second exact. Normally within 2 s; beyond 5 s it is "
            "surely wrong, and VICIdial itself may take the dialer for dead.",
            SECONDS,
            runbooks=("HotdeskDialerSkewed",),
        ),
        Ask(latest(metrics.DIALER_SKEW, DIALER), EACH_DIALER),
    )


def _rooms() -> timeseries.Panel:
    return graph(
        About(
            "Rooms free by dialer",
            "Free conference rooms of each dialer, slots taken off. A dialer without any takes no login.",
            runbooks=("HotdeskCapacityLow",),
        ),
        Ask(latest(metrics.DIALER_ROOMS_FREE, DIALER), EACH_DIALER),
    )


def _places() -> timeseries.Panel:
    return graph(
        About(
            "Places free by dialer",
            "How many more agents each dialer may take: rooms, or what max_agents leaves; 0 where it takes no "
            "logins. The others together should have room for the fullest one's agents.",
            runbooks=("HotdeskCapacityLow",),
        ),
        Ask(latest(metrics.DIALER_PLACES_FREE, DIALER), EACH_DIALER),
        stacked=True,
    )


def _imbalance() -> timeseries.Panel:
    return graph(
        About(
            "Imbalance",
            "The fullest dialer's load over the mean of those that take logins. 1 is even; a dialer that has just "
            "come back makes it rise for a while. Absent while nobody is logged in.",
            NUMBER,
            runbooks=("HotdeskImbalance",),
        ),
        Ask(latest(metrics.CLUSTER_IMBALANCE), "{{cluster}}"),
        limits=((None, GREEN), (1.5, YELLOW)),
    )


def _polls() -> timeseries.Panel:
    return graph(
        About(
            "Polls and statements",
            "How often a second the collector looks at each cluster's database, and the statements for it. Normally "
            "2 polls and about 7 statements, however many dialers and agents.",
            PER_SECOND,
            width=8,
        ),
        Ask(rate(metrics.POLL_SECONDS, by=("cluster",), suffix="_count"), "{{cluster}}: polls"),
        Ask(rate(metrics.POLL_STATEMENTS, by=("cluster",)), "{{cluster}}: statements"),
    )


def _records() -> timeseries.Panel:
    return graph(
        About(
            "Records",
            "Records a second that collectors hand to the log, and that each process takes in: every process reads "
            "all of them. Normally some a second, more with agents.",
            PER_SECOND,
            width=8,
        ),
        Ask(rate(metrics.RECORDS_PUBLISHED, by=("cluster",)), "{{cluster}}: published"),
        Ask(rate(metrics.RECORDS_FOLDED, by=("cluster", "instance")), "{{cluster}}: taken in by {{instance}}"),
    )


def _pick_rate() -> timeseries.Panel:
    return graph(
        About(
            "Picks",
            "Picks a second that each process answers. Normally as many as there are logins, most at the change of "
            "shifts.",
            PER_SECOND,
            width=8,
        ),
        Ask(rate(metrics.PICKS, by=("cluster", "instance")), "{{cluster}}: {{instance}}"),
    )


def _poll_errors() -> timeseries.Panel:
    return graph(
        About(
            "Polls that failed",
            "Unavailable: trying again helps. Refused: somebody must mend it, often a grant. Failed: a mistake of "
            "hotdesk's, its log says more. Normally 0.",
            width=6,
            runbooks=("HotdeskCollectorBlind", "HotdeskDatabaseUnreachable"),
        ),
        Ask(count(metrics.POLL_ERRORS, by=("cluster", "kind")), "{{cluster}}: {{kind}}"),
    )


def _bad_records() -> timeseries.Panel:
    return graph(
        About(
            "Records of no use",
            "Stale: older than what is known, a few after a change of collector. Dead: unreadable, put into the "
            "topic of dead letters; normally 0.",
            width=6,
            runbooks=("HotdeskDeadLetters",),
        ),
        Ask(
            count(metrics.RECORDS_FOLDED, 'result=~"stale|dead"', by=("instance", "result")), "{{instance}}: {{result}}"
        ),
    )


def _bad_picks() -> timeseries.Panel:
    bad = rate(metrics.PICKS, 'outcome!="picked"', by=("cluster", "outcome"))
    every = rate(metrics.PICKS, by=("cluster",))
    return graph(
        About(
            "Share of picks that failed",
            "Picks that were refused, or answered by a replica alone. Normally near 0; somebody who mistypes their "
            "alias is refused too. 0 while nobody asks.",
            SHARE,
            width=6,
            runbooks=("HotdeskHookErrors",),
        ),
        Ask(f"{bad} / on (cluster) group_left () ({every} > 0) or 0 * {bad}", "{{cluster}}: {{outcome}}"),
        limits=((None, GREEN), (0.1, RED)),
    )


def _refused_tokens() -> timeseries.Panel:
    return graph(
        About(
            "Wrong tokens",
            "Requests to each process that were turned away because their token was wrong or absent. Normally 0; a few "
            "are somebody who mistypes it, a steady number is a web server or a hotdesk with an old one.",
            width=6,
            runbooks=("HotdeskTokensRefused",),
        ),
        Ask(count(metrics.TOKENS_REFUSED, by=("instance",)), "{{instance}}"),
    )


def _poll_seconds() -> timeseries.Panel:
    return graph(
        About(
            "How long a poll takes",
            "Statements and records together. Normally some tens of milliseconds; beyond 0.5 s polls come later "
            "than they should.",
            SECONDS,
            width=8,
        ),
        Ask(quantile(0.5, metrics.POLL_SECONDS, ("cluster",)), "{{cluster}}: half"),
        Ask(quantile(0.99, metrics.POLL_SECONDS, ("cluster",)), "{{cluster}}: 99 %"),
    )


def _fold_seconds() -> timeseries.Panel:
    return graph(
        About(
            "How long taking in takes",
            "For a batch of records, in each process. Normally below 10 ms, longer only just after a start.",
            SECONDS,
            width=8,
            runbooks=("HotdeskLag",),
        ),
        Ask(quantile(0.5, metrics.FOLD_SECONDS, ("instance",)), "{{instance}}: half"),
        Ask(quantile(0.99, metrics.FOLD_SECONDS, ("instance",)), "{{instance}}: 99 %"),
    )


def _pick_seconds() -> timeseries.Panel:
    return graph(
        About(
            "How long a pick takes",
            "Inside each process, forwarding to the owner included. Normally some milliseconds; the login hook "
            "waits 150 ms and then lets VICIdial choose. Empty while nobody asks.",
            SECONDS,
            width=8,
            runbooks=("HotdeskHookSlow",),
        ),
        Ask(quantile(0.5, metrics.PICK_SECONDS, ("instance",)), "{{instance}}: half"),
        Ask(quantile(0.99, metrics.PICK_SECONDS, ("instance",)), "{{instance}}: 99 %"),
        limits=((None, GREEN), (0.15, RED)),
    )


def _lag() -> timeseries.Panel:
    return graph(
        About(
            "Lag behind the log",
            "Records between each process and the end of the log. Normally near 0, high only just after a start.",
            width=8,
            runbooks=("HotdeskLag",),
        ),
        Ask(f"max by (instance) ({series(metrics.CONSUMER_LAG)})", "{{instance}}"),
    )


def _outbox() -> timeseries.Panel:
    return graph(
        About(
            "Records that wait for the log",
            "What the log has not taken yet. Normally near 0; a number that grows says that the log is away.",
            width=8,
            runbooks=("HotdeskPipelineStalled",),
        ),
        Ask(f"max by (instance) ({series(metrics.OUTBOX_RECORDS)})", "{{instance}}"),
    )


def _ages() -> timeseries.Panel:
    return graph(
        About(
            "Age of what each process knows",
            f"How old the latest poll is that each process has taken in. Normally below 2 s; above {BLIND_SECONDS} s "
            "it offers nothing.",
            SECONDS,
            width=8,
            runbooks=("HotdeskStaleRanking", "HotdeskCollectorBlind"),
        ),
        Ask(f"max by (cluster, instance) ({age(metrics.CLUSTER_OBSERVED)})", "{{cluster}}: {{instance}}"),
        limits=((None, GREEN), (BLIND_SECONDS, RED)),
    )


def _processors() -> timeseries.Panel:
    return graph(
        About(
            "Processor",
            "Share of a processor core that each hotdesk process uses. Normally far below 1, which is all that one "
            "can use.",
            SHARE,
            width=8,
        ),
        Ask(f"max by (instance) (rate({process('process_cpu_seconds_total')}[$__rate_interval]))", "{{instance}}"),
        limits=((None, GREEN), (0.9, RED)),
    )


def _memory() -> timeseries.Panel:
    return graph(
        About(
            "Memory",
            "Memory that each hotdesk process holds. Normally steady once it has read the log; a steady rise is a "
            "mistake of hotdesk's.",
            BYTES,
            width=8,
        ),
        Ask(f"max by (instance) ({process('process_resident_memory_bytes')})", "{{instance}}"),
    )


def _files() -> timeseries.Panel:
    return graph(
        About(
            "Open files",
            "Files and connections that each process has open, as a share of what it may. Normally a few percent.",
            SHARE,
            width=8,
        ),
        Ask(
            f"max by (instance) ({process('process_open_fds')} / {process('process_max_fds')})",
            "{{instance}}",
        ),
        limits=((None, GREEN), (0.8, RED)),
    )
