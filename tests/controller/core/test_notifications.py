"""What is told outside: each condition once, its end once, over a takeover too, and nothing that passes by itself."""

from collections.abc import Iterable

import msgspec
import pytest

from controller.core.incidents import still_without_phone
from controller.core.notifications import (
    AGAIN_SECONDS,
    DEFAULT_EVENTS,
    HOLD_SECONDS,
    MOST_AGAIN_SECONDS,
    Announcer,
    Event,
    Message,
    Recipient,
    Severity,
    conditions,
)
from messages.records import DialerState, Drain, Incident, Listed, Notification, NotMoved, Outage, Pause
from messages.words import sentence
from tests.support.builders import CLUSTER, NOW_MS, ONE
from tests.support.floor import Floor, crowd

OPS = Recipient(name="ops", events=frozenset(Event))
NIGHT = Recipient(name="night")


class Owner:
    """An owner that looks once a second, and whose messages all arrive."""

    def __init__(self, floor: Floor, *recipients: Recipient, name: str = "me", arrives: bool = True) -> None:
        self.floor = floor
        self.recipients = recipients or (NIGHT,)
        self.name = name
        self.arrives = arrives
        self.announcer = Announcer()
        self.now = 0.0
        self.stale = False

    def look(self, seconds: float = 1.0) -> list[Message]:
        """Return what was sent at a look that comes a while later."""
        self.now += seconds
        state = self.floor.state
        standing = conditions(state, owner=self.name, stale=self.stale)
        messages, ended = self.announcer.due(state, standing, self.recipients, self.now)
        for message in messages:
            self.announcer.on_its_way(message)
            if not self.arrives:
                self.announcer.failed(message, self.now)
                continue
            self.announcer.sent(message)
            self.store(message)
        for record in ended:
            del state.decided.notifications[record.name]
        return messages

    def store(self, message: Message) -> None:
        told = self.floor.state.decided.notifications
        if message.over:
            del told[message.name]
            return
        told[message.name] = Notification(
            cluster=CLUSTER,
            recipient=message.recipient,
            condition=message.condition,
            value=message.value,
            words=message.text,
            sent_at_ms=NOW_MS,
            by=self.name,
        )


def texts(messages: Iterable[Message]) -> list[str]:
    return [each.text for each in messages]


def the(why: NotMoved) -> Listed:
    return Listed(user="1001", live_agent_id=1, why=why)


def died(floor: Floor) -> None:
    floor.judge(ONE=DialerState.DOWN)
    floor.plan()


def test_a_death_is_told_once_and_its_end_once() -> None:
    floor = Floor(*crowd(2))
    owner = Owner(floor)
    assert owner.look() == []
    died(floor)
    (message,) = owner.look()
    assert (message.event, message.severity, message.over) == (Event.INCIDENT, Severity.CRITICAL, False)
    assert message.text.startswith(f"{ONE} is down: ")
    assert message.title == f"CRITICAL: hotdesk {CLUSTER}: incident"
    assert [owner.look() for _ in range(5)] == [[]] * 5
    floor.judge()
    floor.plan()
    (over,) = owner.look()
    assert over.over
    assert over.text.startswith(f"The incident of {ONE} (down) is over after ")
    assert [owner.look() for _ in range(5)] == [[]] * 5
    assert floor.state.decided.notifications == {}


def test_a_new_owner_tells_nothing_that_was_told_and_the_end_all_the_same() -> None:
    floor = Floor(*crowd(2))
    died(floor)
    assert len(Owner(floor).look()) == 1
    successor = Owner(floor, name="another")
    assert successor.look() == []
    floor.judge()
    floor.plan()
    assert [each.over for each in successor.look()] == [True]


def test_what_could_not_be_sent_is_due_again_after_a_while_and_not_at_once() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    owner = Owner(floor, arrives=False)
    assert len(owner.look()) == 1
    assert owner.look() == []
    assert len(owner.look(AGAIN_SECONDS)) == 1
    assert owner.look(AGAIN_SECONDS) == []
    for _ in range(20):
        owner.look(MOST_AGAIN_SECONDS)
    owner.arrives = True
    assert len(owner.look(MOST_AGAIN_SECONDS)) == 1
    assert owner.look(AGAIN_SECONDS) == []


def test_a_message_on_its_way_is_not_sent_a_second_time() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    announcer = Announcer()

    def due(now: float) -> list[Message]:
        return announcer.due(floor.state, conditions(floor.state, owner="me", stale=False), [NIGHT], now)[0]

    (message,) = due(1.0)
    announcer.on_its_way(message)
    assert due(1000.0) == []
    assert announcer.is_due(message)
    floor.judge()
    floor.plan()
    assert due(1001.0) == []
    assert not announcer.is_due(message)
    announcer.dropped(message)
    assert due(2000.0) == []


def test_an_incident_that_becomes_another_kind_is_told_anew() -> None:
    floor = Floor(*crowd(1))
    floor.judge(ONE=DialerState.DRAINING)
    floor.plan()
    owner = Owner(floor)
    assert [each.severity for each in owner.look()] == [Severity.WARNING]
    died(floor)
    assert [each.severity for each in owner.look()] == [Severity.CRITICAL]
    assert owner.look() == []


def test_a_recipient_is_told_of_its_events_and_clusters_only() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    elsewhere = Recipient(name="east", clusters=frozenset({"east"}))
    orders = Recipient(name="orders", events=frozenset({Event.ORDERS}))
    owner = Owner(floor, elsewhere, orders, NIGHT)
    assert {each.recipient for each in owner.look()} == {"night"}
    floor.state.decided.orders.add(Drain(cluster=CLUSTER, ordered_at_ms=1, by="anna", why="disk", server_ip=ONE))
    (message,) = owner.look()
    assert (message.recipient, message.text) == ("orders", f"anna drains {ONE}: disk.")


def test_a_recipient_that_is_gone_leaves_no_record() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    Owner(floor).look()
    assert floor.state.decided.notifications
    floor.judge()
    floor.plan()
    assert Owner(floor, Recipient(name="new")).look() == []
    assert floor.state.decided.notifications == {}


def test_a_database_that_is_away_for_a_moment_is_no_news_and_longer_it_is_with_its_own_words() -> None:
    floor = Floor(*crowd(1))
    owner = Owner(floor)
    owner.look()
    floor.state.observed.outage = Outage(
        cluster=CLUSTER, epoch=1, sequence=9, unreachable_since_ms=NOW_MS, collector="c", why="refuses user 'hotdesk'"
    )
    assert owner.look() == []
    (message,) = owner.look(HOLD_SECONDS[Event.DATABASE])
    assert "refuses user 'hotdesk'" in message.text
    floor.state.observed.outage = None
    assert owner.look() == []
    (over,) = owner.look(HOLD_SECONDS[Event.DATABASE])
    assert over.text.startswith("It is over: Nothing is known of west")


def test_while_nothing_is_known_no_incident_is_said_to_be_over() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    owner = Owner(floor)
    owner.look()
    owner.stale = True
    owner.look()
    (message,) = owner.look(HOLD_SECONDS[Event.DATABASE])
    assert (message.event, message.over) == (Event.DATABASE, False)


def test_agents_who_need_a_hand_are_named_and_those_in_calls_are_not() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    (incident,) = floor.state.decided.incidents.values()
    owner = Owner(floor)
    owner.look()

    floor.state.decided.add(msgspec.structs.replace(incident, listed=(the(NotMoved.IN_CALL),)))
    assert owner.look(60) == []
    floor.state.decided.add(msgspec.structs.replace(incident, listed=(the(NotMoved.STAYED), the(NotMoved.IN_CALL))))
    assert owner.look() == []
    (message,) = owner.look(HOLD_SECONDS[Event.AGENTS])
    assert message.text.startswith(f"1 agent of {ONE} needs a hand: 1001 is not moved: still logged in")


def test_the_end_of_an_incident_names_who_is_left_without_a_phone() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    (incident,) = floor.state.decided.incidents.values()
    owner = Owner(floor)
    owner.look()
    floor.judge()
    floor.state.decided.add(
        msgspec.structs.replace(incident, closed_at_ms=NOW_MS + 60_000, listed=(the(NotMoved.PHONE_LOST),))
    )
    (over,) = owner.look()
    assert over.text.endswith(f" 1 agent of {ONE} needs a hand: 1001 is not moved: {sentence(NotMoved.PHONE_LOST)}.")


def lost_phone(floor: Floor, incident: Incident) -> None:
    """Let the dialer be back, and its agent's phone gone with the Asterisk of before."""
    floor.judge()
    up = floor.state.observed.health.dialers[ONE]
    floor.state.observed.health.dialers[ONE] = msgspec.structs.replace(
        up, phones_lost_ms=incident.opened_at_ms, phones_lost_session=1001
    )
    listed = (Listed(user="1001", live_agent_id=1001, why=NotMoved.PHONE_LOST),)
    floor.state.decided.add(msgspec.structs.replace(incident, closed_at_ms=NOW_MS + 60_000, listed=listed))


def test_who_is_left_without_a_phone_needs_a_hand_also_once_the_incident_is_closed() -> None:
    floor = Floor(*crowd(1))
    died(floor)
    (incident,) = floor.state.decided.incidents.values()
    owner = Owner(floor)
    owner.look()
    lost_phone(floor, incident)
    owner.look()
    (message,) = owner.look(HOLD_SECONDS[Event.AGENTS])
    assert (message.event, message.over) == (Event.AGENTS, False)
    assert message.text.startswith(f"1 agent of {ONE} needs a hand: 1001 is not moved: ")
    assert [each.user for each in still_without_phone(floor.state, floor.state.decided.closed[-1])] == ["1001"]
    floor.poll(gone=["1001"])
    assert still_without_phone(floor.state, floor.state.decided.closed[-1]) == ()


@pytest.mark.parametrize("event", sorted(DEFAULT_EVENTS))
def test_by_default_orders_and_owners_are_not_told(event: Event) -> None:
    assert event not in {Event.ORDERS, Event.OWNER, Event.TEST}


def test_a_change_of_owner_and_a_suspension_are_told_to_who_wants_it() -> None:
    floor = Floor()
    owner = Owner(floor, OPS)
    assert texts(owner.look()) == [f"me decides for {CLUSTER} now."]
    floor.state.decided.orders.add(Pause(cluster=CLUSTER, ordered_at_ms=1, by="hotdesk", why="VICIdial refused"))
    successor = Owner(floor, OPS, name="another")
    assert sorted(texts(successor.look())) == [
        "Automatic moves are suspended by hotdesk: VICIdial refused.",
        f"another decides for {CLUSTER} now.",
    ]
    floor.state.decided.orders.pause = None
    assert [each.over for each in successor.look()] == [True]
