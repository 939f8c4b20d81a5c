"""The controller's metrics as Prometheus reads them."""

import asyncio

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collectors.leading import entry
from collectors.observer import Observer
from controller.core.clusters import Clusters
from controller.core.plan import NOTHING
from controller.runtime.decoding import read
from controller.runtime.metrics import ClusterGauges, ControllerInstruments
from messages.records import AgentStatus, DialerState, Incident, Listed, NotMoved, ServerIp
from messages.topics import partition_of
from stream.log import Entry, Stored
from tests.support.crowd import Crowd

CLUSTER, PARTITIONS = "west", 4


def stored(made: Entry, offset: int) -> Stored:
    return Stored(
        topic=made.topic,
        partition=partition_of(CLUSTER, PARTITIONS),
        offset=offset,
        key=made.key,
        value=made.value,
        headers=made.headers,
        appended_at_ms=0,
    )


class Watched:
    """The clusters of a controller, and their gauges."""

    def __init__(self, crowd: Crowd) -> None:
        self.clusters = Clusters("me", "", PARTITIONS, {})
        self.clusters.own(frozenset(range(PARTITIONS)))
        self.gauges = ClusterGauges(self.clusters)
        self._crowd, self._observer, self._offset = crowd, Observer(CLUSTER, "test", 1), 0

    def poll(self, now: float, name: str = "DIALER1") -> None:
        """Fold a poll; `name`: that of the first dialer."""
        reading = self._crowd.reading(catalogue=not self._offset)
        first, *others = reading.dialers or ()
        reading = reading._replace(dialers=[(first[0], name.encode(), *first[2:]), *others])
        made = self._observer.observe(round(now * 1000), reading)
        news = [read(stored(entry(each), self._offset + number)) for number, each in enumerate(made)]
        self._offset += len(news)
        self.clusters.fold(news, now, live=True)

    def values(self, family: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Return the values of a family's series with these labels, by the values of the others."""
        text = asyncio.run(self.gauges.text()).decode()
        return {
            tuple(value for name, value in sample.labels.items() if name not in labels): sample.value
            for each in text_string_to_metric_families(text)
            if each.name == family
            for sample in each.samples
            if labels.items() <= sample.labels.items()
        }


def test_a_dialer_has_one_state_at_a_time_and_the_series_of_all_others() -> None:
    watched = Watched(Crowd(3, 12))
    watched.poll(0.0)
    watched.poll(0.5)
    assert watched.clusters.by_name[CLUSTER].state.observed.poll is not None
    for ranked in watched.clusters.by_name[CLUSTER].snapshot().dialers:
        states = watched.values("hotdesk_dialer_state", cluster=CLUSTER, server_ip=ranked.server_ip)
        assert len(states) == len(DialerState)
        assert [labels[-1] for labels, value in states.items() if value] == [ranked.state.value]


def test_what_changed_between_two_scrapes_is_shown_and_nothing_remembered_of_before() -> None:
    crowd = Crowd(3, 12)
    watched = Watched(crowd)
    watched.poll(0.0)
    before = agents(watched)
    crowd.work(1.0)
    watched.poll(0.5)
    now = agents(watched)
    poll = watched.clusters.by_name[CLUSTER].state.observed.poll
    assert poll is not None
    assert before != now == {each.server_ip: dict(each.agents) for each in poll.dialers}


def agents(watched: Watched) -> dict[ServerIp, dict[AgentStatus, int]]:
    found: dict[ServerIp, dict[AgentStatus, int]] = {}
    for (server_ip, _, status), value in watched.values("hotdesk_dialer_agents", cluster=CLUSTER).items():
        of_dialer = found.setdefault(server_ip, {})
        if value:
            of_dialer[AgentStatus(status)] = int(value)
    return found


def test_a_name_with_anything_in_it_is_read_as_it_is() -> None:
    watched = Watched(Crowd(3, 12))
    name = 'a "quoted" \\ name\nin two lines'
    watched.poll(0.0, name)
    assert name in {labels[1] for labels in watched.values("hotdesk_dialer_rank", cluster=CLUSTER)}


def test_who_is_left_without_a_phone_is_counted_until_it_is_back_though_the_incident_is_closed() -> None:
    watched = Watched(Crowd(3, 12))
    watched.poll(0.0)
    state = watched.clusters.by_name[CLUSTER].state
    agent = next(iter(state.observed.agents.values()))
    closed = Incident(
        cluster=CLUSTER,
        incident="i",
        server_ip=agent.server_ip,
        kind=DialerState.DOWN,
        opened_at_ms=0,
        closed_at_ms=1000,
        why="it was down",
        listed=(Listed(user=agent.user, live_agent_id=agent.live_agent_id, why=NotMoved.PHONE_LOST),),
        by="me",
    )
    state.decided.add(closed)
    assert watched.values("hotdesk_incident_agents_not_arrived", cluster=CLUSTER) == {}
    dialers = state.observed.health.dialers
    dialers[agent.server_ip] = msgspec.structs.replace(
        dialers[agent.server_ip], phones_lost_ms=500, phones_lost_session=agent.live_agent_id
    )
    (left,) = watched.values("hotdesk_incident_agents_not_arrived", server_ip=agent.server_ip).values()
    assert left == 1
    state.decided.add(msgspec.structs.replace(closed, incident="another", closed_at_ms=None))
    (left,) = watched.values("hotdesk_incident_agents_not_arrived", server_ip=agent.server_ip).values()
    assert left == 0, "an open incident says its own, once"


def test_actions_that_only_fail_later_are_counted_from_the_first_plan_of_a_cluster_that_acts() -> None:
    registry = CollectorRegistry()
    ControllerInstruments(registry).note_moves(CLUSTER, {}, NOTHING)
    series = f'hotdesk_actions_total{{action="relogin",cluster="{CLUSTER}",reply="denied"}} 0.0'
    assert series in generate_latest(registry).decode().splitlines()
