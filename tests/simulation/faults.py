"""What goes wrong: each fault begins something and gives what ends it."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from messages.keys import key_of
from messages.records import AnyOrder, Drain, Fence, Move, Pause, ProbeResult, Unbrake
from messages.topics import Topic
from stream.entries import entry_of
from stream.log import Entry, LogError
from tests.simulation.collecting import Collector, Database
from tests.simulation.controlling import Controller, Group
from tests.simulation.hands import Hands
from tests.simulation.processes import Stoppable
from tests.simulation.watch import Watch
from tests.simulation.wire import Wire
from tests.simulation.world import Dialer, World

End = Callable[[], None]

OF_SEVERAL_SHARE = 0.5
"""Of the faults where there are several clusters: those that are there for that."""
FLOOD, FLOOD_SECONDS = 40, 0.1
"""How many records come again, and after how long."""
APART_SECONDS = 1.5
"""Dialers never come back within the same half second."""


def nothing() -> None:
    """End what ends by itself."""


@dataclass
class Stage:
    """All that can be broken."""

    world: World
    wire: Wire
    group: Group
    database: Database
    watch: Watch
    collectors: list[Collector]
    controllers: list[Controller]
    draw: Random
    probes: bool
    hands: Hands
    watches: Sequence[Watch]
    """Of all clusters."""
    one_by_one: bool
    """Heartbeats that could not be written come back one dialer after the other, as they do behind a switch that starts
    again; else all at once."""
    ends: list[End] = field(default_factory=list)
    """What heals everything that is broken now."""
    _orders: deque[tuple[Entry, End]] = field(default_factory=deque)
    _given_back: list[Fence] = field(default_factory=list)

    def begin(self) -> str:
        """Let something go wrong, and plan its end; tell what."""
        kinds = [*_OF_VICIDIAL, *_OF_HOTDESK, *_OF_PEOPLE, *(_OF_PROBES if self.probes else ())]
        if len(self.watches) > 1 and self.draw.random() < OF_SEVERAL_SHARE:
            kinds = [*_OF_SEVERAL]
        fault, shortest, longest = self.draw.choice(kinds)
        name = fault.__name__.removeprefix("_").replace("_", " ")
        ended = fault(self)
        self.world.look()
        hit = self._hit_by(fault) if fault in _UNSETTLING else []
        began = self.world.clock.now
        for each in hit:
            each.unsteady_at = began
            each.hindered += 1

        def end() -> None:
            if end in self.ends:
                self.ends.remove(end)
                ended()
                self.world.look()
                self.world.note(f"-- over: {name}")
                for each in hit:
                    each.unsteady_at = self.world.clock.now
                    each.hindered -= 1
                    if fault in _BLINDING:
                        each.blinded.append((began, self.world.clock.now))

        self.ends.append(end)
        self.world.clock.after(self.draw.uniform(shortest, longest), end)
        self.world.note(f"-- fault: {name}")
        return name

    def _hit_by(self, fault: "Callable[[Stage], End]") -> Sequence[Watch]:
        """Return the watches of the clusters that a fault hits: this one's, those of its partition, or all."""
        if fault in _OF_PARTITIONS:
            return [each for each in self.watches if each.wire is self.wire]
        return self.watches if fault in _SHARED else [self.watch]

    def heal(self) -> None:
        """End everything that is broken, but for a dialer maybe: its agents must be home elsewhere all the same."""
        dead = [each for each in self.world.dialers.values() if each.dead]
        if len(dead) == 1 and dead[0].has_row and not self.world.restarted and self.draw.random() < 0.6:
            dead[0].dead_for_good = True
            self.world.note(f"{dead[0].server_ip} stays dead")
        for end in list(self.ends):
            end()
        for row in self.world.agents.values():
            row.hangs = row.hangs and self.draw.random() < 0.5

    def dialer(self) -> Dialer:
        """Choose one."""
        return self.draw.choice(list(self.world.dialers.values()))

    def order(self, order: AnyOrder, *, back: bool = False, then: End = nothing) -> None:
        """Bring a person's order to the log, or its taking back; `then` follows as soon as it stands there."""
        entry = Entry(Topic.ORDERS, str(key_of(order)), None) if back else entry_of(order)

        self._orders.append((entry, then))
        if len(self._orders) == 1:
            self._send_orders()

    def _send_orders(self) -> None:
        while self._orders:
            entry, then = self._orders[0]
            try:
                self.wire.append([entry])
            except LogError:
                self.world.clock.after(0.2, self._send_orders)
                return
            self._orders.popleft()
            then()

    def stopped(self, process: Stoppable) -> End:
        """Stop a process, as SIGSTOP does."""
        process.stopped_until = float("inf")
        until = self.world.clock

        def go_on() -> None:
            process.stopped_until = until.now

        self.world.note(f"{process.name} stands still")
        return go_on


# --- VICIdial's parts ---------------------------------------------------------------------------------------------


def _a_dialer_dies(stage: Stage) -> End:
    dialer = stage.dialer()
    if dialer.dead or dialer.hung:
        return nothing
    stage.world.kill(dialer.server_ip)
    stage.world.note(f"{dialer.server_ip} dies")

    def end() -> None:
        if not dialer.dead_for_good:
            stage.world.bring_back(dialer.server_ip)

    return end


def _a_heartbeat_pauses(stage: Stage) -> End:
    dialer = stage.dialer()
    if dialer.beats_until is not None:
        return nothing
    dialer.beats_until = stage.world.clock.now
    stage.world.note(f"the heartbeat of {dialer.server_ip} pauses")

    def end() -> None:
        if not dialer.dead:
            dialer.beats_until = None
            dialer.silent_until = stage.world.clock.now

    return end


def _an_asterisk_restarts(stage: Stage) -> End:
    """Its updater ends with it, and cron starts that again; sessions and screens know nothing of it."""
    dialer, world = stage.dialer(), stage.world
    if not dialer.carries_calls or dialer.beats_until is not None:
        return nothing
    world.lose_channels(dialer.server_ip)
    dialer.beats_until = world.clock.now
    world.note(f"the Asterisk of {dialer.server_ip} restarts")

    def starts_again() -> None:
        if not dialer.dead and dialer.beats_until is not None:
            dialer.beats_until, dialer.silent_until = None, world.clock.now

    world.clock.at_next_minute(starts_again)
    return starts_again


def _a_host_vanishes(stage: Stage) -> End:
    """Its network is gone: when it is back, it goes on with its sessions."""
    dialer = stage.dialer()
    if not dialer.carries_calls or dialer.beats_until is not None:
        return nothing
    dialer.vanished, dialer.beats_until = True, stage.world.clock.now
    stage.world.note(f"{dialer.server_ip} vanishes")
    return partial(stage.world.bring_back, dialer.server_ip, with_sessions=True)


def _no_heartbeat_can_be_written(stage: Stage) -> End:
    if stage.world.beats_frozen_at is not None:
        return nothing
    stage.world.beats_frozen_at = stage.world.clock.now

    def end() -> None:
        world = stage.world
        frozen_at, world.beats_frozen_at, world.thawed_at = world.beats_frozen_at, None, world.clock.now
        later = [each for each in world.dialers.values() if stage.one_by_one and each.beats_until is None]
        for number, dialer in enumerate(later):
            dialer.beats_until = frozen_at
            world.clock.after(number * APART_SECONDS, partial(_beats_again, world, dialer))

    return end


def _beats_again(world: World, dialer: Dialer) -> None:
    if not dialer.dead:
        dialer.beats_until = None
        dialer.silent_until = world.thawed_at = world.clock.now
        world.note(f"the heartbeat of {dialer.server_ip} is back")


def _the_database_goes_away(stage: Stage) -> End:
    stage.world.database_up = False

    def end() -> None:
        stage.world.database_up = True

    return end


def _the_database_restarts(stage: Stage) -> End:
    end_of_outage = _the_database_goes_away(stage)
    stage.world.restarted = True
    for dialer in stage.world.dialers.values():
        dialer.has_row = False
    stage.world.clock.after(stage.draw.uniform(1, 3), end_of_outage)

    def end() -> None:
        end_of_outage()
        for dialer in stage.world.dialers.values():
            dialer.has_row = dialer.has_row or not dialer.dead

    return end


def _vicidial_takes_its_time(stage: Stage) -> End:
    stage.world.slow = True

    def end() -> None:
        stage.world.slow = False

    return end


def _a_dialer_is_switched_off(stage: Stage) -> End:
    dialer = stage.dialer()
    dialer.active = False
    now = stage.world.clock.now
    stage.world.note(f"{dialer.server_ip} is switched off")
    stage.world.clock.after(1.5, lambda: stage.watch.switched_off(dialer.server_ip, now))

    def end() -> None:
        dialer.active = True

    return end


def _a_dialer_is_closed_to_logins(stage: Stage) -> End:
    dialer = stage.dialer()
    if not dialer.logins:
        return nothing
    dialer.logins = False

    def end() -> None:
        dialer.logins = dialer.logins or not dialer.fenced

    return end


def _a_screen_freezes(stage: Stage) -> End:
    agent = stage.draw.choice(list(stage.world.agents.values()))
    agent.hangs = True

    def end() -> None:
        agent.hangs = False

    return end


def _a_tab_is_hidden(stage: Stage) -> End:
    """The browser lets its screen poll once a minute."""
    agent = stage.draw.choice(list(stage.world.agents.values()))
    agent.hidden = True

    def end() -> None:
        agent.hidden = False

    return end


def _the_tables_are_locked(stage: Stage) -> End:
    """Lock them as a dump does: they can be read, and whoever writes waits."""
    stage.world.locked = True

    def end() -> None:
        stage.world.locked = False

    return end


def _an_agent_goes_elsewhere_by_hand(stage: Stage) -> End:
    agent, dialer = stage.draw.choice(list(stage.world.agents.values())), stage.dialer()
    if stage.world.database_up and dialer.carries_calls and not agent.hangs and agent.call_until is None:
        stage.world.log_in(agent, dialer.server_ip)
    return nothing


# --- dialers, as probes see them -----------------------------------------------------------------------------


def _a_dialer_hangs(stage: Stage) -> End:
    dialer = stage.dialer()
    if dialer.dead or dialer.hung:
        return nothing
    dialer.hung_at = stage.world.clock.now
    stage.world.note(f"{dialer.server_ip} hangs")
    return lambda: stage.world.bring_back(dialer.server_ip)


def _a_dialer_cannot_be_reached(stage: Stage) -> End:
    dialer = stage.dialer()
    dialer.cut_off = True

    def end() -> None:
        dialer.cut_off, dialer.reached_since = False, stage.world.clock.now

    return end


def _a_firewall_refuses(stage: Stage) -> End:
    return _answered_in_its_place(stage, ProbeResult.REFUSED)


def _an_account_is_denied(stage: Stage) -> End:
    return _answered_in_its_place(stage, ProbeResult.DENIED)


def _answered_in_its_place(stage: Stage, result: ProbeResult) -> End:
    dialer = stage.dialer()
    dialer.answers["ami"] = result
    stage.world.note(f"{dialer.server_ip} is {result} to probes")

    def end() -> None:
        dialer.answers.pop("ami", None)
        dialer.reached_since = stage.world.clock.now

    return end


def _probes_are_blind(stage: Stage) -> End:
    stage.world.blind = True

    def end() -> None:
        stage.world.blind = False
        for dialer in stage.world.dialers.values():
            dialer.reached_since = stage.world.clock.now

    return end


def _an_updater_dies(stage: Stage) -> End:
    return _a_heartbeat_pauses(stage)


# --- hotdesk's own parts ----------------------------------------------------------------------------------------


def _a_collector_stands_still(stage: Stage) -> End:
    return stage.stopped(stage.draw.choice(stage.collectors))


def _a_collector_is_killed(stage: Stage) -> End:
    collector = stage.draw.choice(stage.collectors)
    if collector.dead:
        return nothing
    collector.kill()
    collector.wall_ahead = stage.draw.choice([0.0, -3600.0, 3600.0, 0.5])
    stage.world.note(f"{collector.name} is killed")
    return collector.start


def _the_network_of_the_collectors_is_bad(stage: Stage) -> End:
    """The database hangs up on the leader again and again, and whatever is appended to the log takes seconds."""
    bad = True
    for collector in stage.collectors:
        collector.line.is_slow = True

    def hang_up() -> None:
        if bad:
            stage.database.hang_up()
            stage.watch.unsteady_at = stage.world.clock.now
            stage.world.clock.after(stage.draw.uniform(0.2, 3.0), hang_up)

    def end() -> None:
        nonlocal bad
        bad = False
        for collector in stage.collectors:
            collector.line.is_slow = False

    hang_up()
    return end


def _a_collector_is_cut_off_from_the_log(stage: Stage) -> End:
    return _cut_off(stage, stage.draw.choice(stage.collectors))


def _a_controller_stands_still(stage: Stage) -> End:
    return stage.stopped(stage.draw.choice(stage.controllers))


def _a_controller_is_killed(stage: Stage) -> End:
    controller = stage.draw.choice(stage.controllers)
    if controller.dead:
        return nothing
    controller.kill()
    stage.world.note(f"{controller.name} is killed")
    return controller.start


def _a_controller_is_cut_off_from_the_log(stage: Stage) -> End:
    return _cut_off(stage, stage.draw.choice(stage.controllers))


def _cut_off(stage: Stage, process: Collector | Controller) -> End:
    process.line.is_cut = True
    stage.world.note(f"{process.name} is cut off from the log")

    def end() -> None:
        process.line.is_cut = False

    return end


def _a_controller_is_slow(stage: Stage) -> End:
    """It lags behind the log, and now and then the group believes that it is gone, or back."""
    controller = stage.draw.choice(stage.controllers)
    controller.is_slow = True
    stage.world.note(f"{controller.name} is slow")

    def rebalance() -> None:
        if controller.is_slow:
            _partitions_are_shared_out_anew(stage)
            stage.world.clock.after(stage.draw.uniform(0.5, 4.0), rebalance)

    def end() -> None:
        controller.is_slow = False

    rebalance()
    return end


def _the_log_goes_away(stage: Stage) -> End:
    wires = {id(each.wire): each.wire for each in stage.watches}.values()
    for wire in wires:
        wire.up = False

    def end() -> None:
        for wire in wires:
            wire.up = True

    return end


def _partitions_are_shared_out_anew(stage: Stage) -> End:
    if stage.group.members:
        for partition in stage.group.owners:
            stage.group.give_to(stage.draw.choice(sorted(stage.group.members)), partition)
        for watch in stage.watches:
            watch.unsteady_at = stage.world.clock.now
    return nothing


# --- one cluster of several, or its partition -------------------------------------------------------------------


def _a_rack_dies(stage: Stage) -> End:
    """It has a dialer of each cluster."""
    fallen: list[tuple[World, Dialer]] = []
    for world in (each.world for each in stage.watches):
        living = [each for each in world.dialers.values() if not (each.dead or each.hung)]
        if living:
            fallen.append((world, stage.draw.choice(living)))
    for world, dialer in fallen:
        world.kill(dialer.server_ip)
        world.note(f"{dialer.server_ip} dies")
        world.look()

    def end() -> None:
        for world, dialer in fallen:
            if not dialer.dead_for_good:
                world.bring_back(dialer.server_ip)
            world.look()

    return end


def _a_rack_dies_with_a_broker(stage: Stage) -> End:
    """The broker had to do with the commits of one partition, which take seconds from now on."""
    brings_back = _a_rack_dies(stage)
    stage.wire.slow = True

    def end() -> None:
        stage.wire.slow = False
        brings_back()

    return end


def _a_partition_changes_hands(stage: Stage) -> End:
    others = sorted(stage.group.members.keys() - {stage.group.owners[stage.wire.partition]})
    if others:
        stage.group.give_to(others[0], stage.wire.partition)
    return nothing


def _a_claim_is_taken_away(stage: Stage) -> End:
    """As by a process of which nobody knows any more."""
    stage.wire.claim = None
    return nothing


def _a_partition_goes_away(stage: Stage) -> End:
    stage.wire.up = False

    def end() -> None:
        stage.wire.up = True

    return end


def _a_cluster_floods_the_log(stage: Stage) -> End:
    """What was published lately comes again and again, faster than anybody folds it."""
    is_mad = True
    lately = [each for each in stage.wire.topics[Topic.OBSERVATIONS] if each.key.startswith(stage.watch.cluster)]
    again = [Entry(each.topic, each.key, each.value, each.headers) for each in lately[-FLOOD:]]

    def publish() -> None:
        if is_mad:
            if stage.wire.up:
                stage.wire.store(again)
            stage.world.clock.after(FLOOD_SECONDS, publish)

    def end() -> None:
        nonlocal is_mad
        is_mad = False

    publish()
    return end


def _web_servers_hang(stage: Stage) -> End:
    stage.hands.hang = True

    def end() -> None:
        stage.hands.hang = False

    return end


# --- people -----------------------------------------------------------------------------------------------------


def _somebody_pauses(stage: Stage) -> End:
    pause = Pause(cluster=stage.watch.cluster, ordered_at_ms=0, by="anna", why="a test")

    def begun() -> None:
        stage.watch.paused_since = stage.world.clock.now

    def end() -> None:
        stage.watch.paused_since = None
        stage.order(pause, back=True)

    stage.order(pause, then=begun)
    return end


def _somebody_drains(stage: Stage) -> End:
    dialer = stage.dialer()
    drain = Drain(cluster=stage.watch.cluster, ordered_at_ms=0, by="anna", server_ip=dialer.server_ip)
    dialer.wanted_empty = True
    stage.order(drain)

    def end() -> None:
        dialer.wanted_empty = False
        stage.order(drain, back=True)

    return end


def _somebody_moves_an_agent(stage: Stage) -> End:
    agent = stage.draw.choice(list(stage.world.agents.values()))
    if agent.row_id is not None:
        stage.order(
            Move(cluster=stage.watch.cluster, ordered_at_ms=0, by="anna", user=agent.user, live_agent_id=agent.row_id),
        )
    return nothing


def _somebody_releases_the_brake(stage: Stage) -> End:
    view = stage.watch.owners_view()
    since_ms = None if view is None else view.state.observed.health.bad_since_ms
    if since_ms is not None:
        stage.watch.unbraked = True
        stage.order(Unbrake(cluster=stage.watch.cluster, ordered_at_ms=0, by="anna", bad_since_ms=since_ms))
    return nothing


Fault = tuple[Callable[[Stage], End], float, float]
"""What begins, and how long it lasts, in seconds: from, to."""

_OF_VICIDIAL: tuple[Fault, ...] = (
    (_a_dialer_dies, 12.0, 60.0),
    (_a_dialer_dies, 12.0, 60.0),
    (_a_dialer_dies, 12.0, 60.0),
    (_a_dialer_dies, 1.0, 8.0),
    (_a_host_vanishes, 1.0, 60.0),
    (_a_heartbeat_pauses, 0.5, 5.5),
    (_an_updater_dies, 5.0, 60.0),
    (_no_heartbeat_can_be_written, 1.0, 14.0),
    (_the_database_goes_away, 0.5, 10.0),
    (_the_database_restarts, 5.0, 20.0),
    (_a_dialer_is_switched_off, 2.0, 40.0),
    (_a_dialer_is_closed_to_logins, 2.0, 20.0),
    (_a_screen_freezes, 5.0, 40.0),
    (_a_tab_is_hidden, 5.0, 60.0),
    (_the_tables_are_locked, 0.5, 14.0),
    (_vicidial_takes_its_time, 3.0, 30.0),
    (_an_agent_goes_elsewhere_by_hand, 0.0, 1.0),
    (_an_agent_goes_elsewhere_by_hand, 0.0, 1.0),
)
_OF_PROBES: tuple[Fault, ...] = (
    (_a_dialer_hangs, 15.0, 50.0),
    (_an_asterisk_restarts, 61.0, 62.0),
    (_a_dialer_cannot_be_reached, 1.0, 30.0),
    (_a_firewall_refuses, 1.0, 90.0),
    (_an_account_is_denied, 1.0, 90.0),
    (_probes_are_blind, 1.0, 30.0),
    (_an_updater_dies, 5.0, 30.0),
)
_OF_HOTDESK: tuple[Fault, ...] = (
    (_a_collector_stands_still, 0.5, 9.0),
    (_a_collector_is_killed, 2.0, 15.0),
    (_the_network_of_the_collectors_is_bad, 2.0, 20.0),
    (_a_collector_is_cut_off_from_the_log, 0.5, 9.0),
    (_a_controller_stands_still, 0.5, 14.0),
    (_a_controller_is_killed, 2.0, 12.0),
    (_a_controller_is_cut_off_from_the_log, 0.5, 14.0),
    (_a_controller_is_slow, 2.0, 20.0),
    (_the_log_goes_away, 0.5, 8.0),
    (_partitions_are_shared_out_anew, 0.0, 1.0),
)
_OF_PEOPLE: tuple[Fault, ...] = (
    (_somebody_pauses, 3.0, 25.0),
    (_somebody_drains, 5.0, 30.0),
    (_somebody_moves_an_agent, 0.0, 1.0),
    (_somebody_releases_the_brake, 0.0, 1.0),
)
_OF_SEVERAL: tuple[Fault, ...] = (
    (_a_rack_dies, 12.0, 60.0),
    (_a_rack_dies, 12.0, 60.0),
    (_a_rack_dies_with_a_broker, 12.0, 40.0),
    (_a_rack_dies_with_a_broker, 12.0, 40.0),
    (_a_partition_changes_hands, 0.0, 1.0),
    (_a_partition_changes_hands, 0.0, 1.0),
    (_a_claim_is_taken_away, 0.0, 1.0),
    (_a_partition_goes_away, 0.5, 20.0),
    (_a_cluster_floods_the_log, 3.0, 6.0),
    (_a_cluster_floods_the_log, 3.0, 6.0),
    (_web_servers_hang, 5.0, 30.0),
    (_web_servers_hang, 5.0, 30.0),
)
"""Faults that hit one cluster, or its partition, where there are others."""
_OF_PARTITIONS = {
    _a_partition_changes_hands,
    _a_claim_is_taken_away,
    _a_partition_goes_away,
    _a_rack_dies_with_a_broker,
}
_SHARED = {
    _a_controller_stands_still,
    _a_controller_is_killed,
    _a_controller_is_cut_off_from_the_log,
    _a_controller_is_slow,
    _the_log_goes_away,
    _partitions_are_shared_out_anew,
}
"""Faults that hit every cluster."""
_BLINDING = ({each for each, _, _ in (*_OF_HOTDESK, *_OF_SEVERAL)} - {_a_rack_dies}) | {
    _the_database_goes_away,
    _the_database_restarts,
    _no_heartbeat_can_be_written,
}
"""Faults after which it is watched anew whether heartbeats go on."""
_UNSETTLING = _BLINDING | {each for each, _, _ in _OF_PROBES} | {_somebody_pauses}
