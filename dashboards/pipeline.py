"""The dashboard of hotdesk's own pipeline, from the database to the login: rate, errors, latency, saturation."""

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import dashboard as models

from dashboards.board import PIPELINE, Row, board
from dashboards.conditions import BLIND_SECONDS
from dashboards.panels import BYTES, GREEN, PER_SECOND, RED, SECONDS, SHARE, About, Ask, graph
from dashboards.queries import (
    age,
    count,
    latest,
    process,
    quantile,
    rate,
    series,
)
from messages import metrics


def dashboard() -> models.Dashboard:
    """Return the dashboard of the pipeline."""
    shows = "hotdesk itself, from the database to the login: rate, errors, latency, saturation."
    return board(PIPELINE, shows, _rows(), since="now-1h", by_dialer=False)


def _rows() -> list[Row]:
    return [
        Row("Rate", [_polls(), _records(), _pick_rate()]),
        Row("Errors", [_poll_errors(), _bad_records(), _bad_picks(), _refused_tokens(), _misused_forms()]),
        Row("Latency", [_poll_seconds(), _fold_seconds(), _pick_seconds()]),
        Row("Saturation", [_lag(), _outbox(), _ages(), _processors(), _memory(), _files()]),
    ]


def _polls() -> timeseries.Panel:
    return graph(
        About(
            "Polls and statements",
            "Polls of each cluster's database per second, and their SQL statements. Normally 2 polls and about 7 "
            "statements, whatever the number of dialers and agents.",
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
            "Records per second that collectors publish, and that each process folds: every process reads all of "
            "them. Normally some per second, more with agents.",
            PER_SECOND,
            width=8,
        ),
        Ask(rate(metrics.RECORDS_PUBLISHED, by=("cluster",)), "{{cluster}}: published"),
        Ask(rate(metrics.RECORDS_FOLDED, by=("cluster", "instance")), "{{cluster}}: folded by {{instance}}"),
    )


def _pick_rate() -> timeseries.Panel:
    return graph(
        About(
            "Picks",
            "Picks per second that each process answers. Normally one for each login, most of them at the change of "
            "shifts.",
            PER_SECOND,
            width=8,
        ),
        Ask(rate(metrics.PICKS, by=("cluster", "instance")), "{{cluster}}: {{instance}}"),
    )


def _poll_errors() -> timeseries.Panel:
    return graph(
        About(
            "Poll errors",
            "Unavailable: a retry helps. Refused: a person must mend it, often a grant. Failed: a bug of hotdesk's; "
            "its log says more. Normally 0.",
            width=8,
            runbooks=("HotdeskCollectorBlind", "HotdeskDatabaseUnreachable"),
        ),
        Ask(count(metrics.POLL_ERRORS, by=("cluster", "kind")), "{{cluster}}: {{kind}}"),
    )


def _bad_records() -> timeseries.Panel:
    return graph(
        About(
            "Records dropped",
            "Stale: older than the known state, a few after a change of collector. Dead: unreadable, stored in the "
            "topic of dead letters; normally 0.",
            width=8,
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
            "Pick errors",
            "Picks that were refused, or answered by a replica alone. Normally near 0; an agent who mistypes the "
            "alias is refused too. 0 without requests.",
            SHARE,
            width=8,
            runbooks=("HotdeskHookErrors",),
        ),
        Ask(f"{bad} / on (cluster) group_left () clamp_min({every}, 1e-9)", "{{cluster}}: {{outcome}}"),
        limits=((None, GREEN), (0.1, RED)),
    )


def _refused_tokens() -> timeseries.Panel:
    return graph(
        About(
            "Wrong tokens",
            "Requests to each process that were rejected because their token was wrong or absent. Normally 0; a few "
            "are mistyped, a steady number is a web server or a hotdesk process with an old one.",
            width=12,
            runbooks=("HotdeskTokensRefused",),
        ),
        Ask(count(metrics.TOKENS_REFUSED, by=("instance",)), "{{instance}}"),
    )


def _misused_forms() -> timeseries.Panel:
    return graph(
        About(
            "Login forms that come to nothing",
            "Slots whose login did not show within 5 s, and requests refused by a limit of late. Normally "
            "few: passwords are mistyped. Anybody who can load VICIdial's login page can send its form.",
            width=12,
            runbooks=("HotdeskLoginFormsMisused",),
        ),
        Ask(latest(metrics.CLUSTER_SLOTS_UNUSED), "{{cluster}}: came to nothing"),
        Ask(count(metrics.RATE_LIMITED, by=("cluster", "limit")), "{{cluster}}: refused, {{limit}}"),
        limits=((None, GREEN), (20, RED)),
    )


def _poll_seconds() -> timeseries.Panel:
    return graph(
        About(
            "Poll latency",
            "From the first statement to the last record. Normally some tens of milliseconds; beyond 0.5 s polls are "
            "late.",
            SECONDS,
            width=8,
        ),
        Ask(quantile(0.5, metrics.POLL_SECONDS, ("cluster",)), "{{cluster}}: p50"),
        Ask(quantile(0.99, metrics.POLL_SECONDS, ("cluster",)), "{{cluster}}: p99"),
    )


def _fold_seconds() -> timeseries.Panel:
    return graph(
        About(
            "Fold latency",
            "For a batch of records, in each process. Normally below 10 ms, longer only just after a start.",
            SECONDS,
            width=8,
            runbooks=("HotdeskLag",),
        ),
        Ask(quantile(0.5, metrics.FOLD_SECONDS, ("instance",)), "{{instance}}: p50"),
        Ask(quantile(0.99, metrics.FOLD_SECONDS, ("instance",)), "{{instance}}: p99"),
    )


def _pick_seconds() -> timeseries.Panel:
    return graph(
        About(
            "Pick latency",
            "Inside each process, including the forwarding to the owner. Normally some milliseconds; the login hook "
            "waits 150 ms and then lets VICIdial choose. Empty without requests.",
            SECONDS,
            width=8,
            runbooks=("HotdeskHookSlow",),
        ),
        Ask(quantile(0.5, metrics.PICK_SECONDS, ("instance",)), "{{instance}}: p50"),
        Ask(quantile(0.99, metrics.PICK_SECONDS, ("instance",)), "{{instance}}: p99"),
        limits=((None, GREEN), (0.15, RED)),
    )


def _lag() -> timeseries.Panel:
    return graph(
        About(
            "Consumer lag",
            "Records between each process and the end of the log. Normally near 0, high only just after a start.",
            width=8,
            runbooks=("HotdeskLag",),
        ),
        Ask(f"max by (instance) ({series(metrics.CONSUMER_LAG)})", "{{instance}}"),
    )


def _outbox() -> timeseries.Panel:
    return graph(
        About(
            "Queue to the log",
            "Records that the log has not acknowledged yet. Normally near 0; it grows while the log is unreachable.",
            width=8,
            runbooks=("HotdeskPipelineStalled",),
        ),
        Ask(f"sum by (instance) ({series(metrics.OUTBOX_RECORDS)})", "{{instance}}"),
    )


def _ages() -> timeseries.Panel:
    return graph(
        About(
            "Age of the latest poll",
            f"The age of the latest poll that each process has folded. Normally below 2 s; above {BLIND_SECONDS} s "
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
            "CPU",
            "Share of a processor core that each hotdesk process uses. Normally far below 1, the most that one can "
            "use.",
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
            "Memory that each hotdesk process uses. Normally steady once it has read the log; a steady rise is a bug "
            "of hotdesk's.",
            BYTES,
            width=8,
        ),
        Ask(f"max by (instance) ({process('process_resident_memory_bytes')})", "{{instance}}"),
    )


def _files() -> timeseries.Panel:
    return graph(
        About(
            "Open files",
            "Files and connections that each process has open, as a share of its limit. Normally a few percent.",
            SHARE,
            width=8,
        ),
        Ask(
            f"max by (instance) ({process('process_open_fds')} / {process('process_max_fds')})",
            "{{instance}}",
        ),
        limits=((None, GREEN), (0.8, RED)),
    )
