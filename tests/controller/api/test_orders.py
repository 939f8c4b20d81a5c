"""People's orders: answered when they are stored, or with why they are not."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.plugins.problem_details import ProblemDetailsException
from prometheus_client import CollectorRegistry

from controller.api.auth import Client
from controller.api.orders import Orderer
from controller.api.rate_limits import Limit, Rate
from controller.api.schemas import OrderBody
from controller.core.clusters import Clusters
from controller.runtime.metrics import ControllerInstruments
from messages.codec import decode
from messages.records import Decision
from messages.topics import Topic, partition_of
from stream.embedded.log import EmbeddedLog
from stream.outbox import Outbox
from tests.support.breakable_log import BreakableLog
from tests.support.builders import CLUSTER, ONE, PARTITIONS, TWO, arrived, dialer, eventually, poll

ANNA = Client("10.0.0.9", "")
NOW = 100.0


class Desk:
    """An orderer for one cluster, over a log that may be away."""

    def __init__(self, folder: Path) -> None:
        self.log = BreakableLog(EmbeddedLog(folder / "log.db", PARTITIONS))
        self.outbox = Outbox(self.log)
        clusters = Clusters("me", "", PARTITIONS, {})
        clusters.fold(arrived(poll(dialer(ONE), dialer(TWO))), NOW, live=True)
        limit = Limit(Rate(per_second=100.0, at_once=100))
        self.orderer = Orderer(clusters, self.outbox, limit, ControllerInstruments(CollectorRegistry()))

    def pause(self, why: str) -> None:
        asyncio.run(self.orderer.pause(CLUSTER, OrderBody(by="anna", why=why), ANNA))

    def stored(self, topic: Topic) -> list[bytes]:
        found = self.log.read(topic, partition_of(CLUSTER, PARTITIONS), 0)
        return [each.value or b"" for each in found]

    def audited(self) -> list[str]:
        found = [decode(Topic.AUDIT, each) for each in self.stored(Topic.AUDIT)]
        return [each.why for each in found if isinstance(each, Decision)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Yield a desk at which orders are given."""
    made = Desk(tmp_path)
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
