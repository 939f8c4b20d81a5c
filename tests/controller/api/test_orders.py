"""People's orders: answered when they are stored, or with why they are not."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from litestar.plugins.problem_details import ProblemDetailsException
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from controller.api.auth import Client
from controller.api.orders import Orderer
from controller.api.rate_limits import Limit, Rate
from controller.api.schemas import OrderAnswer, OrderBody
from controller.core.clusters import Clusters
from controller.core.policy import Policy
from controller.runtime.metrics import ControllerInstruments
from messages.codec import decode
from messages.records import Decision
from messages.topics import Topic, partition_of
from stream.embedded.log import EmbeddedLog
from stream.outbox import Outbox
from tests.support.breakable_log import BreakableLog
from tests.support.builders import CLUSTER, ONE, PARTITIONS, THREE, TWO, arrived, dialer, eventually, poll, session

ANNA = Client("10.0.0.9", "")
NOW = 100.0


class Desk:
    """An orderer for one cluster, over a log that may be away."""

    def __init__(self, folder: Path, policy: Policy) -> None:
        self.log = BreakableLog(EmbeddedLog(folder / "log.db", PARTITIONS))
        self.outbox = Outbox(self.log)
        clusters = Clusters("me", "", PARTITIONS, {CLUSTER: policy})
        named = [msgspec.structs.replace(dialer(ip), server_id=name) for ip, name in ((ONE, "DIAL1"), (TWO, "DIAL2"))]
        clusters.fold(arrived(session("1001", ONE), poll(*named, dialer(THREE))), NOW, live=True)
        limit = Limit(Rate(per_second=100.0, at_once=100))
        self.orderer = Orderer(clusters, self.outbox, limit, ControllerInstruments(CollectorRegistry()))

    def pause(self, why: str) -> None:
        asyncio.run(self.orderer.pause(CLUSTER, OrderBody(by="anna", why=why), ANNA))

    def order(self, what: str, *subject: str) -> str:
        """Order, and return what was answered."""
        given = getattr(self.orderer, what)(CLUSTER, *subject, OrderBody(by="anna"), ANNA)
        answer: OrderAnswer = asyncio.run(given)
        return answer.ordered

    def refused(self, what: str, *subject: str) -> str:
        """Order what is refused, and return why."""
        with pytest.raises(ProblemDetailsException) as refused:
            self.order(what, *subject)
        return refused.value.detail

    def stored(self, topic: Topic) -> list[bytes]:
        found = self.log.read(topic, partition_of(CLUSTER, PARTITIONS), 0)
        return [each.value or b"" for each in found]

    def audited(self) -> list[str]:
        found = [decode(Topic.AUDIT, each) for each in self.stored(Topic.AUDIT)]
        return [each.why for each in found if isinstance(each, Decision)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a desk at which orders are given."""
    with at_a_desk(tmp_path, Policy()) as made:
        yield made


@contextmanager
def at_a_desk(folder: Path, policy: Policy) -> Iterator[Desk]:
    """Make a desk, and clear it away."""
    made = Desk(folder, policy)
    yield made
    made.outbox.close(0.1)
    made.log.close()


def test_an_order_that_is_answered_is_stored(desk: Desk) -> None:
    desk.pause("release night")
    assert [b"release night" in each for each in desk.stored(Topic.ORDERS)] == [True]
    assert eventually(lambda: desk.audited() == ["release night"])


def test_an_order_that_the_log_does_not_take_is_answered_so_and_never_comes_into_force(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.api.orders.STORED_SECONDS", 0.3)
    desk.log.cut()
    with pytest.raises(ProblemDetailsException) as refused:
        desk.pause("release night")
    assert (refused.value.status_code, refused.value.title) == (503, "not ordered")
    assert "order again" in str(refused.value.detail)
    desk.log.mend()
    desk.pause("again")
    assert [b"again" in each for each in desk.stored(Topic.ORDERS)] == [True]
    assert eventually(lambda: desk.audited() == ["release night (answered: not ordered)", "again"])


# --- what is answered ---------------------------------------------------------------------------------------------


def test_where_hotdesk_only_advises_an_order_is_answered_with_what_it_would_do(desk: Desk, tmp_path: Path) -> None:
    assert "1001 would be moved and is not" in desk.order("move", "1001")
    assert "no agent is logged out" in desk.order("drain", ONE)
    (tmp_path / "acting").mkdir()
    with at_a_desk(tmp_path / "acting", Policy(acts=True)) as acting:
        assert acting.order("move", "1001") == "1001 is moved"
        assert acting.order("drain", ONE) == f"DIAL1 ({ONE}) drains until 'hotdesk undrain DIAL1'"


def test_orders_take_a_dialers_name_as_its_address_and_give_all_names_if_there_is_no_such_one(desk: Desk) -> None:
    assert desk.order("drain", "dial1").startswith(f"DIAL1 ({ONE}) drains")
    assert desk.order("drain", THREE).startswith(f"{THREE} drains until 'hotdesk undrain {THREE}'")
    assert desk.refused("drain", "dial9") == (
        f"west has no dialer 'dial9'; it has DIAL1 ({ONE}), DIAL2 ({TWO}), {THREE}"
    )


def test_an_order_that_does_not_stand_cannot_be_taken_back_and_one_that_does_can_by_any_name(desk: Desk) -> None:
    assert desk.refused("take_back", "drain", "dial2") == f"no drain of DIAL2 ({TWO}) is ordered"
    with capture_logs() as lines:
        assert "west has no dialer 'dial9'" in desk.refused("take_back", "drain", "dial9")
    (line,) = lines
    assert (line["event"], line["log_level"], line["order"]) == ("an order was refused", "warning", "take_back")
    assert (line["by"], line["subject"]) == ("anna (10.0.0.9)", "drain dial9")
    assert desk.refused("take_back", "pause", "") == "no pause is ordered"
    desk.order("drain", ONE)
    assert desk.order("take_back", "drain", "DIAL1") == f"DIAL1 ({ONE}) no longer drains"
    assert desk.stored(Topic.ORDERS)[-1] == b""
    assert "no drain" in desk.refused("take_back", "drain", "DIAL1")


@pytest.mark.parametrize("given", [("pause", "pause", ""), ("drain", "drain", ONE), ("move", "move", "1001")])
def test_every_order_can_be_taken_back(desk: Desk, given: tuple[str, str, str]) -> None:
    what, kind, subject = given
    desk.order(what, *filter(None, [subject]))
    desk.order("take_back", kind, subject)
    assert desk.stored(Topic.ORDERS)[-1] == b""
