"""The executors of a process: what they ask last of all is answered by its own clusters, and by its own ownership."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from collectors.vicidial.settings import DatabaseSettings
from controller.api.tokens import Tokens
from controller.core.actions import attempt_of
from controller.core.cluster import Permit
from controller.core.policy import Policy
from controller.runtime.metrics import ControllerInstruments
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.executor_pool import ExecutorPool
from hotdesk.part import Shared
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages.codes import ReasonCode
from messages.records import Fence
from messages.words import sentence
from simulator.ports import free_port
from tests.support.builders import CLUSTER, ONE, PARTITIONS, dialer, poll
from tests.support.following import Following, following_all

FENCE = Fence(cluster=CLUSTER, server_ip=ONE, incident="i", planned_at_ms=1, by="me")


@pytest.fixture
def following(tmp_path: Path) -> Iterator[Following]:
    """Yield a follower that owns everything and decides for the one cluster."""
    with following_all(tmp_path) as made:
        yield made


@pytest.fixture
def pool(following: Following, tmp_path: Path) -> Iterator[ExecutorPool]:
    """Yield executors for the cluster, whose database cannot be reached: what is sent says so."""
    acting = ActuatorSettings(database=DatabaseSettings(port=free_port()))
    wanted = Wanted(
        roles=frozenset({Role.CONTROL}),
        log=LogOptions(path=tmp_path / "log.db", partitions=PARTITIONS),
        api=ApiOptions(port=0),
        databases={},
        policies={CLUSTER: Policy(acts=True)},
        actuators={CLUSTER: acting},
    )
    shared = Shared("me", "", following.log, following.outbox, Tokens({}), following.registry, following.loop)
    instruments = ControllerInstruments(CollectorRegistry())
    made = ExecutorPool(wanted, shared, following.clusters, following.owner, instruments)
    made.start()
    yield made
    made.stop()


def _said(pool: ExecutorPool) -> str:
    """Return what comes of an action, carried out as an executor's thread does."""
    return pool._executors[CLUSTER].carry_out(FENCE).said  # noqa: SLF001 # its threads do nothing else


def _grant(following: Following, pool: ExecutorPool, **changes: object) -> None:
    due = frozenset({attempt_of(FENCE)})
    granted = Permit(withheld=None, due=due, dead=frozenset({ONE}), fresh_at=time.monotonic())
    following.clusters.by_name[CLUSTER].permit = granted._replace(**changes)  # type: ignore[arg-type]
    pool.take({})


def test_nothing_is_sent_for_a_cluster_that_is_not_known(pool: ExecutorPool) -> None:
    assert _said(pool) == sentence(ReasonCode.CLUSTER_UNKNOWN)


def test_what_may_be_sent_is_sent_and_what_was_withdrawn_is_not(following: Following, pool: ExecutorPool) -> None:
    following.fold(poll(dialer(ONE)))
    _grant(following, pool)
    assert "connect" in _said(pool).lower()
    _grant(following, pool, due=frozenset())
    assert _said(pool) == sentence(ReasonCode.WITHDRAWN)


def test_nothing_is_sent_once_this_process_has_left_the_group(following: Following, pool: ExecutorPool) -> None:
    following.fold(poll(dialer(ONE)))
    _grant(following, pool)
    assert "connect" in _said(pool).lower()
    following.follower.stop()
    following.follower.join(5)
    _grant(following, pool)
    assert _said(pool) == sentence(ReasonCode.NOT_OWNER)
