"""The API over TLS: who is believed, what is said of files that do not fit, and a certificate that is renewed."""

import shutil
import signal
import ssl
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives import serialization

from simulator.broker import Broker
from stream.kafka.settings import KafkaSettings
from tests.support.certificates import Issuer
from tests.support.commands import Command
from tests.support.processes import CLUSTER, Process, Site, Start, until
from tests.support.topics import create_topics_patiently


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return an authority."""
    return Issuer(tmp_path)


def url_of(process: Process) -> str:
    (ready,) = until(lambda: process.lines("ready to answer"), "the process is ready", 40.0)
    return str(ready["url"])


def believing(issuer: Issuer, url: str) -> httpx.Client:
    return httpx.Client(base_url=url, verify=issuer.believing(), trust_env=False)


def test_a_replica_passes_picks_on_and_commands_ask_over_tls(
    start: Start, command: Command, broker: Broker, west: Site, issuer: Issuer
) -> None:
    kafka = KafkaSettings(bootstrap_servers=(broker.bootstrap,), prefix=f"tls{uuid4().hex[:8]}.", partitions=4)
    create_topics_patiently(kafka, replication=1)
    environment = {
        **west.environment,
        **issuer.issue(),
        "HOTDESK_LOG_BOOTSTRAP": broker.bootstrap,
        "HOTDESK_LOG_PREFIX": kafka.prefix,
        "HOTDESK_LOG_PARTITIONS": "4",
    }
    with west.living():
        start("collect", environment=environment)
        start("control", environment=environment)
        replica = url_of(start("serve", environment=environment))
        assert replica.startswith("https://127.0.0.1:")
        with believing(issuer, replica) as asking:
            user, alias = west.plan.agent_plans[0].user, west.plan.agent_plans[0].alias

            def picked() -> bool:
                answer = asking.post(f"/v1/clusters/{CLUSTER}/picks", json={"user": user, "alias": alias})
                return answer.is_success and not answer.json()["degraded"]

            until(picked, "the owner answers through the replica", 30)
        said = command("rank", alias, "--api.url", replica, "--api.tls-ca", str(issuer.file)).output
        assert alias in said
        unknown = command("rank", alias, "--api.url", replica)
        assert (unknown.code, unknown.output) == (5, "")
        assert "CERTIFICATE_VERIFY_FAILED" in unknown.errors.upper().replace(" ", "_")


def test_a_renewed_certificate_is_shown_without_a_restart(start: Start, west: Site, issuer: Issuer) -> None:
    process = start("run", environment={**west.environment, **issuer.issue()})
    url = httpx.URL(url_of(process))

    def shown() -> str:
        return ssl.get_server_certificate((url.host, url.port or 0))

    before = shown()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{url.host}:{url.port}/healthz", trust_env=False)
    issuer.issue()
    process.signal(signal.SIGHUP)
    until(lambda: shown() != before, "the new one is shown")
    with believing(issuer, str(url)) as asking:
        assert asking.get("/healthz").is_success
    shutil.copy(issuer.file, issuer.file.with_name("api.key"))
    process.signal(signal.SIGHUP)
    refused = "the certificate changed and cannot be used; the former one is shown on"
    until(lambda: process.lines(refused), "that does not fit")
    with believing(issuer, str(url)) as asking:
        assert asking.get("/healthz").is_success


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(command: Command, issuer: Issuer) -> None:
    environment = issuer.issue()
    key = Path(environment["HOTDESK_API_TLS_KEY"])
    locked = serialization.load_pem_private_key(key.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"not given to hotdesk"),
    )
    key.write_bytes(locked)
    ended = command("serve", **environment)
    assert ended.code == 2
    assert "name PEM files that belong together, the key without a password" in ended.errors
    assert len(ended.errors.splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"HOTDESK_API_TLS_CERT": "/not/there.pem"}, "api.tls_cert and api.tls_key go together"),
        ({"HOTDESK_API_TLS_CERT": "/not/there.pem", "HOTDESK_API_TLS_KEY": "/not/there.key"}, "/not/there.key"),
        ({"HOTDESK_API_TLS_CA": "/not/there.pem"}, "api.tls_ca /not/there.pem cannot be used"),
    ],
)
def test_files_that_do_not_fit_are_said_at_the_start(command: Command, environment: dict[str, str], said: str) -> None:
    ended = command("serve", HOTDESK_API_PORT="0", **environment)
    assert ended.code == 2
    assert said in ended.errors
    assert len(ended.errors.splitlines()) == 1
