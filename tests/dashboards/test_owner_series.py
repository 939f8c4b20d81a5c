"""Of several processes that export a cluster a query uses the owner's series: run by promtool, with made-up series."""

import json
import subprocess
from pathlib import Path

import pytest

from dashboards import meanings
from dashboards.conditions import CONDITION, WORDS
from dashboards.failover import DETECTED_AFTER
from dashboards.queries import BY_DIALER, highest, latest, total
from messages import metrics
from messages.records import DialerState
from tests.dashboards.reading import filled
from tests.support.prometheus import tool

EVERYTHING = {"job": ".*", "cluster": ".*", "dialer": ".*", "__rate_interval": "1m", "__range": "1m"}
STATES = meanings.codes(meanings.STATES)
STATE = highest("hotdesk:dialer_state:code", by=BY_DIALER)
RULES = Path(__file__).parents[2] / "alerts" / "hotdesk.rules.yml"
CLUSTER_OF_DIALER = '{cluster="west", server_ip="10.0.0.1", server_id="A"}'


def shown(
    instance: str, *, owns: bool, state: DialerState = DialerState.UP, agents: int = 0, **cluster: int
) -> dict[str, str]:
    """Return the series that one process exports of the cluster west and its only dialer."""
    here = f'job="hotdesk",instance="{instance}",cluster="west"'
    dialer = f'{here},server_ip="10.0.0.1",server_id="A"'
    return {
        f"hotdesk_cluster_owned{{{here}}}": f"{owns:d}",
        f'hotdesk_dialer_agents{{{dialer},status="READY"}}': f"{agents}",
        f'hotdesk_dialer_agents{{{dialer},status="PAUSED"}}': "1",
        **{f'hotdesk_dialer_state{{{dialer},state="{each}"}}': f"{each is state:d}" for each in DialerState},
        f"hotdesk_cluster_observed_timestamp_seconds{{{here}}}": "0",
        f"hotdesk_cluster_database_up{{{here}}}": "1",
        **{f"hotdesk_cluster_{name}{{{here}}}": f"{value}" for name, value in cluster.items()},
    }


OWNER = shown("a", owns=True, agents=4, paused=0, braked=0)
LAGGING = shown("b", owns=False, agents=9, state=DialerState.DOWN, paused=1, braked=1)
OTHER = shown("c", owns=False, agents=5, state=DialerState.SUSPECT, paused=0, braked=0)
BLIND = {
    "hotdesk_cluster_observed_timestamp_seconds" + name.partition("seconds")[2]: "-6"
    for name in OWNER
    if "observed" in name
}
AWAY = {name: "0" for name in OWNER if "database_up" in name}


def incident(instance: str, beat: int) -> dict[str, str]:
    """Return the series of an incident opened at 1,009 s, and of its dialer's last heartbeat progress."""
    dialer = f'{{job="hotdesk",instance="{instance}",cluster="west",server_ip="10.0.0.1",server_id="A"}}'
    return {
        f"hotdesk_incident_opened_timestamp_seconds{dialer}": "1009",
        f"hotdesk_dialer_heartbeat_progress_timestamp_seconds{dialer}": f"{beat}",
    }


@pytest.mark.parametrize(
    ("expression", "series", "labels", "value"),
    [
        pytest.param(
            total(metrics.DIALER_AGENTS, by=BY_DIALER),
            OWNER | LAGGING,
            CLUSTER_OF_DIALER,
            5,
            id="the owner's value counts",
        ),
        pytest.param(
            total(metrics.DIALER_AGENTS, by=BY_DIALER),
            LAGGING | OTHER,
            CLUSTER_OF_DIALER,
            10,
            id="without an owner the highest",
        ),
        pytest.param(STATE, OWNER | LAGGING, CLUSTER_OF_DIALER, STATES[DialerState.UP], id="the owner's state counts"),
        pytest.param(
            STATE, LAGGING | OTHER, CLUSTER_OF_DIALER, STATES[DialerState.DOWN], id="without an owner the worst"
        ),
        pytest.param(CONDITION, OWNER | LAGGING, '{cluster="west"}', "well", id="well"),
        pytest.param(CONDITION, LAGGING | OTHER, '{cluster="west"}', "no controller", id="no owner"),
        pytest.param(CONDITION, OWNER | BLIND, '{cluster="west"}', "no polls", id="no polls"),
        pytest.param(CONDITION, OWNER | BLIND | AWAY, '{cluster="west"}', "database unreachable", id="no database"),
        pytest.param(
            CONDITION, shown("a", owns=True, paused=1, braked=1), '{cluster="west"}', "braked", id="the worst is shown"
        ),
        pytest.param(
            DETECTED_AFTER,
            incident("a", beat=1000) | incident("b", beat=0),
            '{cluster="west", server_id="A", server_ip="10.0.0.1"}',
            9,
            id="without progress seen by a new collector there is no beat",
        ),
        pytest.param(
            latest(metrics.CLUSTER_PAUSED), OWNER | LAGGING, '{cluster="west"}', 0, id="a gauge of the cluster"
        ),
    ],
)
def test_the_owners_series_count(
    expression: str, series: dict[str, str], labels: str, value: float | str, tmp_path: Path
) -> None:
    number = next((code for code, (word, _) in WORDS.items() if word == value), value)
    case = {
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": filled(expression, EVERYTHING),
                "eval_time": "4s",
                "exp_samples": [{"labels": labels, "value": number}],
            }
        ],
    }
    file = tmp_path / "test.yml"
    order = ["hotdesk-quick", "hotdesk-boards"]  # the second uses what the first records
    tests = [{"interval": "1s", **case}]
    file.write_text(json.dumps({"rule_files": [str(RULES)], "group_eval_order": order, "tests": tests}))
    ran = subprocess.run([tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False)  # noqa: S603 (our own)
    assert ran.returncode == 0, ran.stdout + ran.stderr
