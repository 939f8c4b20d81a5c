"""What a person is told when a database refuses, or has no dialer: on the page, by each command, and in exit codes."""

from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from hotdesk.service import Service
from hotdesk.settings import ApiOptions
from messages.codes import ReasonCode
from messages.records import Outage
from messages.words import sentence
from stream.entries import entry_of
from tests.support.builders import NOW_MS, ONE, TWO, dialer
from tests.support.commands import API, Command, one_line
from tests.support.fed_service import FedService, service_of
from tests.support.processes import CLUSTER, until

WRONG_PASSWORD = (
    "10.0.0.5:3306/asterisk refuses user 'hotdesk': Access denied for user 'hotdesk'@'10.0.0.9' (using password: YES);"
    " check the password, and run the GRANT statements of docs/guide/database.md"
)
NO_GRANT = "10.0.0.5:3306/asterisk refuses user 'hotdesk': SELECT command denied for table 'phones'"
SEQUENCES = count(1)
ANOTHER = sentence(ReasonCode.ANOTHER_INSTALLATION)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a hotdesk that knows what a collector says, and nothing else."""
    with service_of(tmp_path_factory.mktemp("refused"), ApiOptions(port=0)) as running:
        yield running


@pytest.fixture(params=[WRONG_PASSWORD, NO_GRANT, ANOTHER], ids=["password", "grant", "another installation"])
def why(service: Service, request: pytest.FixtureRequest) -> str:
    """Have a collector say why it reads nothing, and return that once it is known."""
    said: str = request.param
    sequence = next(SEQUENCES)
    outage = Outage(cluster=CLUSTER, epoch=1, sequence=sequence, unreachable_since_ms=NOW_MS, collector="c", why=said)
    service.log.append([entry_of(outage)])
    until(lambda: said[:40] in httpx.get(f"{service.url}/v1/clusters", trust_env=False).text, "it is known")
    return said


def test_a_database_that_refuses_is_named_everywhere_in_its_own_words(
    service: Service, why: str, command: Command
) -> None:
    asking = {"HOTDESK_API_URL": service.url}
    for words in (("rank", "desk1001"), ("explain", "1001"), ("readiness",)):
        said = one_line(command(*words, **asking), API)
        assert why in said
        assert "no alias" not in said
        assert "finding" not in said
    assert why in " ".join(command("top", **asking).output.split())
    status = command("status", **asking)
    assert (status.code, why in status.output) == (2, True)
    page = httpx.get(f"{service.url}/clusters/{CLUSTER}", trust_env=False).text
    assert f"Nothing is known: the database cannot be read: {why[:20]}" in page
    assert 'class="sentence tone-trouble"' in page
    pick = httpx.post(f"{service.url}/v1/clusters/{CLUSTER}/picks", json={"user": "1001", "alias": "desk"})
    assert (pick.status_code, why in pick.json()["detail"]) == (503, True)


def test_no_dialer_at_all_is_red_and_says_why(tmp_path_factory: pytest.TempPathFactory, command: Command) -> None:
    with service_of(tmp_path_factory.mktemp("empty"), ApiOptions(port=0)) as service:
        asking, floor = {"HOTDESK_API_URL": service.url}, FedService(service)
        for dialers, why in (
            ((), "table servers is empty"),
            ((dialer(ONE, active=False), dialer(TWO, active=False)), "all 2 have active=N in VICIdial"),
        ):
            floor.show(*dialers)
            floor.show(*dialers)
            shown = command("status", **asking)
            assert (shown.code, why in shown.output) == (2, True), shown.output
            page = httpx.get(f"{service.url}/clusters/{CLUSTER}", trust_env=False).text
            assert why in page
            assert 'class="sentence tone-trouble"' in page
        floor.client.close()
