"""What people lose while a Kafka broker is away: two hotdesk processes over three brokers, and who asks them for picks.

Blind is a moment in which no process gives a pick: a pick is refused when its news are older than 5 s.
"""

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

import httpx

from messages.topics import Topic
from simulator.broker_cluster import BrokerCluster
from stream.kafka.client import admin_client
from stream.kafka.settings import KafkaSettings
from tests.support.processes import CLUSTER, Client, Process, Site, until
from tests.support.shift import decides
from tests.support.topics import create_topics_patiently

PARTITIONS = 4
LOOK_SECONDS = 0.2
ANSWER_SECONDS = 1.0


class Watch:
    """Asks every process for a pick, and whether it owns the cluster, several times a second."""

    def __init__(self, processes: list[Process], site: Site) -> None:
        self.processes = processes
        self._agent = site.plan.agent_plans[0]
        self._picked: list[float] = []
        self._owned: list[float] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(each.client.url,)) for each in processes]

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for each in self._threads:
            each.join()

    def blind_seconds(self, since: float) -> float:
        """Return the longest time without a pick since a moment of the monotonic clock."""
        return _longest_gap(self._picked, since)

    def no_owner_seconds(self, since: float) -> float:
        """Return the longest time in which no process owned the cluster."""
        return _longest_gap(self._owned, since)

    def well(self, seconds: float = 2.0) -> bool:
        """Return True if picks were given and the cluster was owned all through the last seconds."""
        since = time.monotonic() - seconds
        return max(self.blind_seconds(since), self.no_owner_seconds(since)) < min(1.0, seconds)

    def _look(self, url: str) -> None:
        client = Client(url)
        client.http.timeout = ANSWER_SECONDS
        while not self._stop.wait(LOOK_SECONDS):
            with suppress(httpx.HTTPError):
                if client.ask(self._agent.user, self._agent.alias, self._agent.campaign.campaign_id).is_success:
                    self._picked.append(time.monotonic())
                if client.metric("hotdesk_cluster_owned", cluster=CLUSTER) == 1:
                    self._owned.append(time.monotonic())
        client.close()


def _longest_gap(moments: list[float], since: float) -> float:
    found = [since, *sorted(each for each in moments if each > since), time.monotonic()]
    return max(later - earlier for earlier, later in itertools.pairwise(found))


@contextmanager
def watched(folder: Path, brokers: BrokerCluster, at: Site) -> Iterator[tuple[Watch, KafkaSettings]]:
    """Run two hotdesk processes that act for a cluster, over three brokers, and watch them once they do."""
    kafka = KafkaSettings(bootstrap_servers=brokers.bootstrap, prefix=f"d{uuid4().hex[:8]}.", partitions=PARTITIONS)
    create_topics_patiently(kafka, replication=len(brokers.brokers))
    prefix = f"HOTDESK_CLUSTERS__{CLUSTER.upper()}__"
    environment = {
        "HOTDESK_API_PORT": "0",
        "HOTDESK_LOG_PREFIX": kafka.prefix,
        "HOTDESK_LOG_PARTITIONS": str(PARTITIONS),
        **at.environment,
        f"{prefix}MODE": "act",
        f"{prefix}RELOGIN_VIA": "sql",
    }
    arguments = ("run", *(f"--log.bootstrap={address}" for address in kafka.bootstrap_servers))
    with ExitStack() as stack, at.living():
        processes = [Process(folder, arguments, environment) for _ in range(2)]
        for each in processes:
            stack.callback(each.close)
        until(lambda: any(decides(each) for each in processes), "one decides", 40)
        watch = stack.enter_context(Watch(processes, at))
        until(watch.well, "picks are given", 40)
        yield watch, kafka


def in_sync(kafka: KafkaSettings, copies: int) -> bool:
    """Return True if every partition of hotdesk's topics has so many copies that are in step."""
    with admin_client(kafka) as admin:
        described = admin.describe_topics([kafka.topic_name(topic) for topic in Topic])
    return all(len(place["isr_nodes"]) == copies for topic in described for place in topic["partitions"])
