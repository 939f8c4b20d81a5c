"""Every command line of the chart is started for real, as a pod would be, and answers its probes."""

import hashlib
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from simulator.broker import GUARDED_PASSWORD, GUARDED_USER, Broker
from simulator.ports import free_port
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import check_topics
from tests.helm.charting import RELEASE, Rendered, merged, template, values_of
from tests.helm.node import Container, Node
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import CLUSTER, PASSWORD, Site, until
from tests.support.timing import on_this_machine

TOKEN = "pick-token-of-these-tests"
READ_TOKEN = "read-token-of-these-tests"
SECRETS = {
    "hotdesk-tokens": {
        "tokens": f"# scope token\npick {TOKEN}\nread {READ_TOKEN}\n",
        "read": f"read {READ_TOKEN}\n",
        "collect": f"read sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n",
    },
    "kafka": {"password": f"{GUARDED_PASSWORD}\n"},
    "west": {"password": f"{PASSWORD}\n", "agent-api-password": "nobody-is-told-here\n"},
}
DATABASE = "database.example"
SERVICE = f"{RELEASE}-hotdesk.voice.svc"
AGENT_API = {"agent_api": ["http://web.example/agc/api.php"], "agent_api_user": "hotdesk"}
PARTITIONS = 4


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """Yield a node that knows the database and the API by name."""
    made = Node(tmp_path, SECRETS, names=(DATABASE, SERVICE))
    yield made
    made.close()


def chart(port: int, **changes: Any) -> Rendered:  # noqa: ANN401 - values are anything
    """Render the chart for processes at this port: those of all roles share one machine here."""
    values = merged(
        values_of("minimal"),
        {
            "api": {"port": port},
            "service": {"port": port},
            "clusters": {
                "main": None,
                CLUSTER: {"settings": {"host": DATABASE}, "secrets": {"password": {"existingSecret": "west"}}},
            },
        },
        changes,
    )
    return template(values)


def ends(*containers: Container) -> None:
    """End containers as a kubelet does: each within the time that its pod is given."""
    for each in containers:
        each.process.send_signal(signal.SIGTERM)
    for each in containers:
        code, said = each.wait(10)
        assert code == 0, said
        assert "Traceback" not in said


def asked(container: Container, path: str, **body: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    method = "POST" if body else "GET"
    return container.http.request(method, container.url(path), headers=headers, json=body or None)


def test_the_roles_work_together_as_the_chart_starts_them(broker: Broker, west: Site, node: Node) -> None:
    prefix = f"t{uuid4().hex[:8]}."
    settings = west.settings
    log = {
        "settings": {
            "bootstrap": [broker.guarded_bootstrap],
            "prefix": prefix,
            "partitions": PARTITIONS,
            "replication": 1,
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_username": GUARDED_USER,
        },
        "secrets": {"sasl_password": {"existingSecret": "kafka"}},
    }
    cluster = {
        "settings": {
            "host": DATABASE,
            "port": settings.port,
            "user": settings.user,
            "database": settings.database,
            "mode": "act",
            **AGENT_API,
        },
        "secrets": {"agent_api_password": {"existingSecret": "west"}},
    }

    def values(port: int) -> Rendered:
        return chart(port, log=log, clusters={CLUSTER: cluster})

    first = values(free_port())
    code, said = node.start(first, first.workload("topics")).wait()
    assert (code, said.count("created")) == (0, 8), said
    kafka = KafkaSettings(bootstrap_servers=(broker.bootstrap,), prefix=prefix, partitions=PARTITIONS)
    assert check_topics(kafka) == []
    again = node.start(first, first.workload("topics"))

    with west.living():
        charts = {role: values(free_port()) for role in ("collect", "control", "serve")}
        running = {role: node.start(of, of.workload(role)) for role, of in charts.items()}
        for each in running.values():
            each.begins()
        assert again.wait() == (
            0,
            "all topics exist already; 'hotdesk topics check' checks their settings\n",
        )
        serve = running["serve"]

        def picked() -> bool:
            answer = asked(serve, f"/v1/clusters/{CLUSTER}/picks", user=west.plan.agent_plans[0].user, alias="desk1001")
            # by the owner, which the replica found where the chart says that its pod is
            return answer.status_code == httpx.codes.CREATED and not answer.json()["degraded"]

        until(picked, "a login is told where to go", 40)
        assert serve.http.get(serve.url("/v1/clusters")).status_code == httpx.codes.UNAUTHORIZED
        assert asked(running["collect"], "/metrics").is_success

        tested = charts["serve"].workload("test")
        code, said = node.start(charts["serve"], tested, "api").wait()
        assert (code, said) == (0, f"ready, with polls of {CLUSTER}\n")
        code, said = node.start(charts["serve"], tested, "topics").wait()
        assert (code, said) == (0, "all topics are as needed\n")

        code, said = node.start(charts["collect"], charts["collect"].workload("collect"), args=["check"]).wait()
        assert code == 0, said
        assert "wrong" not in said, said

        for each in running.values():
            status = each.status()
            assert set(status["Uid"].split()) == {"65532"}
            assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
            assert status["NoNewPrivs"] == "1"
            # what a pod asks of its node is enough for a small cluster
            assert int(status["VmHWM"].split()[0]) < 1024 * int(each.requested("memory").removesuffix("Mi"))
        ends(*running.values())


def test_one_process_keeps_its_log_in_its_volume(node: Node, tmp_path: Path) -> None:
    port = free_port()
    # a database that is away is no reason to be sent nobody, nor to be started anew
    settings = {"host": DATABASE, "port": 1, "mode": "act", "relogin_via": "sql"}
    cluster = {"settings": settings, "secrets": {"password": {"existingSecret": "west"}}}
    changes: list[dict[str, Any]] = [
        {"api": {"port": port}, "service": {"port": port}, "clusters": None},
        {"clusters": {CLUSTER: cluster}},
    ]
    of = template(merged(values_of("single"), *changes))
    run = node.start(of, of.workload("run"))
    run.begins()
    assert (tmp_path / "volumes" / "log" / "hotdesk.db").stat().st_uid == 65532
    code, said = node.start(of, of.workload("test")).wait()
    assert (code, said) == (1, f"no poll yet of {CLUSTER}: see the collectors' logs\n")
    ends(run)
    code, said = node.start(of, of.workload("test")).wait()
    assert code == 1
    assert "/readyz does not answer" in said


def test_while_kafka_is_away_nobody_is_started_anew_and_replicas_stay_where_logins_find_them(
    node: Node, tmp_path: Path
) -> None:
    broker = Broker(KAFKA_HOME, tmp_path / "kafka")
    log = {"settings": {"bootstrap": [broker.bootstrap], "partitions": PARTITIONS, "replication": 1}}
    charts = {role: chart(free_port(), log=log) for role in ("collect", "control", "serve")}
    collect, control, serve = (node.start(of, of.workload(role)) for role, of in charts.items())
    try:
        for each in (collect, control, serve):
            until(partial(each.probe, "livenessProbe"), "it answers", 40)
        assert collect.probe("startupProbe")
        assert control.probe("startupProbe")
        assert not control.probe("readinessProbe")
        # not part of the Service yet: what it would answer, it does not know
        assert not serve.probe("startupProbe")

        broker.start()
        code, said = node.start(charts["serve"], charts["serve"].workload("topics")).wait()
        assert code == 0, said
        for each in (collect, control, serve):
            each.begins()

        broker.kill()
        until(lambda: not control.probe("readinessProbe"), "the controller says that it is of no use", 20)
        until(lambda: not serve.http.get(serve.url("/readyz")).is_success, "the replica says so, too", 20)
        for _ in range(3):
            assert serve.probe("readinessProbe")
            assert all(each.probe("livenessProbe") for each in (collect, control, serve))
        # the hook is told at once what it would otherwise find out by waiting
        took = []
        for _ in range(5):
            began = time.monotonic()
            answer = asked(serve, f"/v1/clusters/{CLUSTER}/picks", user="1001", alias="desk1001")
            assert answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.SERVICE_UNAVAILABLE}
            took.append(time.monotonic() - began)
        assert min(took) < on_this_machine(0.15)
        ends(collect, control, serve)
    finally:
        broker.kill()
