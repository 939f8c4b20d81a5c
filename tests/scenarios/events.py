"""What can happen in a scenario: to the world what it does to a real cluster, also where hotdesk is blind to it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from messages.keys import key_of
from messages.records import AnyOrder, Drain, Move, Pause, ProbeResult, Unbrake, Unfence
from messages.topics import Topic
from stream.entries import entry_of
from stream.log import Entry, LogError
from tests.scenarios.measure import NEVER, Measure
from tests.scenarios.story import Event, Seconds, Takes
from tests.scenarios.webs import Webs
from tests.simulation.collecting import Collector, Database
from tests.simulation.controlling import Controller
from tests.simulation.processes import CLUSTER
from tests.simulation.wire import Wire
from tests.simulation.world import Agent, Dialer, Live, World

RESTART_SECONDS = 1.5
"""From the end of an Asterisk to the next one, which safe_asterisk starts."""
DATABASE_RESTART_SECONDS = 2.0
ROWS_BACK_SECONDS = 13.0
"""From a restart of the database to the heartbeats' rows: cron starts the updaters again."""
SCREENS_BACK_SECONDS = 30.0
"""From then until an agent whose screen died logs in again by hand."""
LOCK_SECONDS = 25.0
PROCESS_SECONDS = 2.0
BEHIND_EACH_OTHER = 0.25
"""Agents who log in by hand do not do it in the same moment."""

End = Callable[[], None]


@dataclass
class Stage:
    """All that an event can reach."""

    world: World
    wire: Wire
    database: Database
    collectors: list[Collector]
    controllers: list[Controller]
    webs: Webs
    measure: Measure

    def dialers(self, event: Event) -> list[Dialer]:
        """Return the dialers of an event."""
        named = [*event.dialers, *([event.dialer] if event.dialer is not None else [])]
        return [self.world.dialers[f"10.0.0.{number}"] for number in named]

    def agents(self, event: Event) -> list[Agent]:
        """Return the agents of an event; all, if it names none."""
        named = [*event.agents, *([event.agent] if event.agent is not None else [])]
        everybody = list(self.world.agents.values())
        return [everybody[number - 1] for number in named] if named else everybody

    def sessions(self, event: Event) -> list[tuple[Agent, Live]]:
        """Return the agents of an event who are logged in, with their sessions."""
        rows = [(each, self.world.rows.get(each.row_id or 0)) for each in self.agents(event)]
        return [(agent, row) for agent, row in rows if row is not None]

    def owner(self) -> Controller | None:
        """Return the controller that decides."""
        return next((each for each in self.controllers if each.decides() and not each.dead), None)

    def leader(self) -> Collector | None:
        """Return the collector that polls."""
        return next((each for each in self.collectors if each.leads and not each.dead), None)

    def order(self, entry: Entry) -> None:
        """Bring a person's order to the log, as soon as it takes it."""
        try:
            self.wire.append([entry])
        except LogError:
            self.world.clock.after(0.2, partial(self.order, entry))


Begin = Callable[[Stage, Event], End | None]
"""Begins something, and returns what ends it; None: it ends by itself, or not at all."""


class Happening(NamedTuple):
    """A kind of event."""

    begin: Begin
    takes: Takes
    lasts: float | None = None
    """For how long, if the file does not say so; None: for good."""


def _each(begin: Callable[[Stage, Dialer, Event], End | None]) -> Begin:
    """Return what begins something on each dialer of an event."""

    def begin_all(stage: Stage, event: Event) -> End | None:
        ends = [end for end in (begin(stage, each, event) for each in stage.dialers(event)) if end is not None]
        return _one_by_one(stage, ends, event.apart) if ends else None

    return begin_all


def _one_by_one(stage: Stage, ends: Iterable[End], apart: Seconds | None) -> End:
    def end() -> None:
        for number, each in enumerate(ends):
            if number and apart:
                stage.world.clock.after(number * apart, each)
            else:
                each()

    return end


# --- dialers ---------------------------------------------------------------------------------------------------------


def _stop_beating(stage: Stage, dialer: Dialer) -> None:
    if dialer.beats_until is None:
        dialer.beats_until = stage.world.clock.now


def _beat_again(dialer: Dialer) -> None:
    dialer.link_cut = False
    if dialer.carries_calls:
        dialer.beats_until = dialer.steps_from = None
        dialer.has_row = True


def _updater_stops(stage: Stage, dialer: Dialer, event: Event) -> End | None:
    _stop_beating(stage, dialer)
    if event.lasts is None:
        stage.world.clock.at_next_minute(partial(_beat_again, dialer))
    return partial(_beat_again, dialer)


def _updater_steps(stage: Stage, dialer: Dialer, _: Event) -> End:
    dialer.steps_from = stage.world.clock.now
    return partial(_beat_again, dialer)


def _asterisk_ends(stage: Stage, dialer: Dialer) -> None:
    stage.world.kill(dialer.server_ip)
    dialer.hung_at = dialer.steps_from = None
    dialer.answers["dead"] = ProbeResult.REFUSED
    stage.world.lose_channels(dialer.server_ip)


def _asterisk_starts(stage: Stage, dialer: Dialer) -> None:
    """Start Asterisk, which knows nothing of before; its updater is started by cron."""
    dialer.dead = False
    stage.world.lose_channels(dialer.server_ip)
    stage.world.clock.at_next_minute(partial(_beat_again, dialer))


def _asterisk_killed(stage: Stage, dialer: Dialer, _: Event) -> End:
    _asterisk_ends(stage, dialer)
    return partial(_asterisk_starts, stage, dialer)


def _asterisk_hangs(stage: Stage, dialer: Dialer, _: Event) -> End:
    dialer.hung_at = stage.world.clock.now
    return partial(stage.world.bring_back, dialer.server_ip, with_sessions=True)


def _host_killed(stage: Stage, dialer: Dialer, _: Event) -> End:
    _asterisk_ends(stage, dialer)
    return partial(_boots, stage, dialer)


def _boots(stage: Stage, dialer: Dialer) -> None:
    stage.world.bring_back(dialer.server_ip)
    dialer.beats_until = stage.world.clock.now
    stage.world.clock.at_next_minute(partial(_beat_again, dialer))


def _host_vanishes(stage: Stage, dialer: Dialer, _: Event) -> End:
    dialer.vanished = True
    _stop_beating(stage, dialer)
    return partial(stage.world.bring_back, dialer.server_ip, with_sessions=True)


def _comes_back(stage: Stage, dialer: Dialer, event: Event) -> None:
    if not event.with_sessions:
        _boots(stage, dialer)
    elif dialer.dead:
        _asterisk_starts(stage, dialer)
    else:
        stage.world.bring_back(dialer.server_ip, with_sessions=True)


def _link_cut(stage: Stage, dialer: Dialer, _: Event) -> End:
    dialer.link_cut = True
    _stop_beating(stage, dialer)
    return partial(_beat_again, dialer)


def _firewall_refuses(stage: Stage, dialer: Dialer, event: Event) -> End:
    return _answered(stage, dialer, event.probes or stage.world.kinds, ProbeResult.REFUSED)


def _ami_denied(stage: Stage, dialer: Dialer, _: Event) -> End:
    return _answered(stage, dialer, ("ami",), ProbeResult.DENIED)


def _ports_cut(stage: Stage, dialer: Dialer, event: Event) -> End:
    return _answered(stage, dialer, event.probes or stage.world.kinds, ProbeResult.UNREACHABLE)


def _answered(_: Stage, dialer: Dialer, kinds: Iterable[str], result: ProbeResult) -> End:
    dialer.answers |= dict.fromkeys(kinds, result)

    def end() -> None:
        for kind in kinds:
            dialer.answers.pop(kind, None)

    return end


def _active(_: Stage, dialer: Dialer, event: Event) -> End:
    dialer.active = event.value == "Y"

    def end() -> None:
        dialer.active = not dialer.active

    return end


def _agent_logins(_: Stage, dialer: Dialer, event: Event) -> End:
    dialer.logins = event.value == "Y"

    def end() -> None:
        dialer.logins = not dialer.logins

    return end


# --- the database ----------------------------------------------------------------------------------------------------


def _database_restarts(stage: Stage, event: Event) -> End:
    """Restart it: its tables in memory are empty then, so updaters end, and no screen is known any more."""
    world = stage.world
    world.database_up, world.restarted = False, True
    for dialer in world.dialers.values():
        dialer.has_row = False
        _stop_beating(stage, dialer)
    for number, agent in enumerate(world.agents.values()):
        agent.screen_dead = agent.row_id is not None
        after = (event.back_after or SCREENS_BACK_SECONDS) + number * BEHIND_EACH_OTHER
        world.clock.after(after, partial(_logs_in_again, stage, agent))

    def end() -> None:
        world.database_up = True
        for dialer in world.dialers.values():
            world.clock.after(ROWS_BACK_SECONDS, partial(_beat_again, dialer))

    return end


def _logs_in_again(stage: Stage, agent: Agent) -> None:
    if agent.screen_dead:
        agent.call_until = agent.wraps_until = None
        stage.world.log_in(agent)


def _another_is_asked(stage: Stage, _: Event) -> End:
    """Let what hotdesk reads stand still: VICIdial's pages and dialers write to another server."""
    world = stage.world
    world.seen_as_of = world.stand_still()

    def end() -> None:
        world.seen_as_of = None

    return end


def _table_locked(stage: Stage, _: Event) -> End:
    world = stage.world
    world.locked, world.beats_frozen_at = True, world.clock.now

    def end() -> None:
        world.locked, world.beats_frozen_at = False, None
        for web in range(1, 21):
            stage.webs.go_on(web)

    return end


def _agents_refused(stage: Stage, _: Event) -> End:
    stage.world.agents_refused_at = stage.world.clock.now

    def end() -> None:
        stage.world.agents_refused_at = None

    return end


# --- hotdesk's own parts ---------------------------------------------------------------------------------------------


def _processes(stage: Stage, event: Event, part: str) -> list[Collector] | list[Controller]:
    """Return the collector that polls, or the controller that decides; all of them, if the event says so."""
    if part == "collector":
        leader = stage.leader()
        return stage.collectors if event.all or leader is None else [leader]
    owner = stage.owner()
    return stage.controllers if event.all or owner is None else [owner]


def _stops(part: str, stage: Stage, event: Event) -> End:
    stopped = _processes(stage, event, part)
    for process in stopped:
        process.stopped_until = NEVER

    def end() -> None:
        for process in stopped:
            process.stopped_until = stage.world.clock.now

    return end


def _restarts(part: str, stage: Stage, event: Event) -> End:
    killed = _processes(stage, event, part)
    for process in killed:
        process.kill()

    def end() -> None:
        for process in killed:
            process.start()

    return end


def _cut_from_log(part: str, stage: Stage, event: Event) -> End:
    cut = _processes(stage, event, part)
    for process in cut:
        process.line.is_cut = True

    def end() -> None:
        for process in cut:
            process.line.is_cut = False

    return end


def _log_unavailable(stage: Stage, _: Event) -> End:
    stage.wire.up = False

    def end() -> None:
        stage.wire.up = True

    return end


def _machine_paused(stage: Stage, event: Event) -> End:
    """Pause a machine, as a hypervisor does: its monotonic clock stands still too."""
    paused, since = _processes(stage, event, event.part or ""), stage.world.clock.now
    go_on = _stops(event.part or "", stage, event)

    def end() -> None:
        for process in paused:
            process.slept += stage.world.clock.now - since
        go_on()

    return end


def _clock_steps(stage: Stage, event: Event) -> End:
    seconds = event.by or 0.0

    def step(seconds: float) -> None:
        if event.of == "log":
            stage.wire.clock_ahead += seconds
        elif event.of == "collector":
            for collector in stage.collectors:
                collector.wall_ahead += seconds
        else:
            for dialer in stage.dialers(event):
                dialer.clock_ahead += seconds

    step(seconds)
    return partial(step, -seconds)


# --- web servers -----------------------------------------------------------------------------------------------------


def _web_returns(stage: Stage, event: Event) -> None:
    web = event.web or 0
    stage.world.hung_webs.discard(web)
    stage.webs.slow.pop(web, None)
    stage.webs.go_on(web)


def _web_hangs(stage: Stage, event: Event) -> End:
    stage.world.hung_webs.add(event.web or 0)
    return partial(_web_returns, stage, event)


def _web_slow(stage: Stage, event: Event) -> End:
    stage.webs.slow[event.web or 0] = event.by or 0.0
    return partial(_web_returns, stage, event)


# --- people ----------------------------------------------------------------------------------------------------------


def _phone_refuses(stage: Stage, event: Event) -> None:
    for agent in stage.agents(event):
        agent.refuses = True


def _phone_dies(stage: Stage, event: Event) -> End:
    agents = stage.agents(event)
    for agent in agents:
        agent.phone_dead = True
        row = stage.world.rows.get(agent.row_id or 0)
        if row is not None:
            row.phone_at = None

    def end() -> None:
        for agent in agents:
            agent.phone_dead = False

    return end


def _tab_hidden(stage: Stage, event: Event) -> End:
    agents = stage.agents(event)
    for agent in agents:
        agent.hidden = True

    def end() -> None:
        for agent in agents:
            agent.hidden = False

    return end


def _call_ends(stage: Stage, event: Event) -> None:
    for agent, row in stage.sessions(event):
        if agent.call_until is not None:
            stage.world.end_call(agent, row)


def _disposes(stage: Stage, event: Event) -> None:
    for agent, row in stage.sessions(event):
        if agent.wraps_until is not None:
            stage.world.dispose(agent, row)


def _logs_in(stage: Stage, event: Event) -> None:
    dialer = next((each.server_ip for each in stage.dialers(event)), None)
    for agent in stage.agents(event):
        agent.back_at = stage.world.clock.now
        if dialer is not None:
            stage.world.log_in(agent, dialer)


def _second_session(stage: Stage, event: Event) -> End:
    (dialer,) = (each.server_ip for each in stage.dialers(event))
    tabs = [stage.world.begin_second_session(agent, dialer) for agent in stage.agents(event)]

    def end() -> None:
        for tab in tabs:
            stage.world.rows.pop(tab.row_id or 0, None)

    return end


def _logs_out(stage: Stage, event: Event) -> None:
    for agent, row in stage.sessions(event):
        del stage.world.rows[row.live_agent_id]
        agent.row_id, agent.call_until, agent.wraps_until, agent.back_at = None, None, None, NEVER


def _manager_pauses(stage: Stage, event: Event) -> None:
    """Pause agents as VICIdial's real-time report does, whose mark is another one than hotdesk's."""
    for _, row in stage.sessions(event):
        row.external_pause = f"PAUSE!{round(stage.world.clock.wall)}"


def _names_typed(stage: Stage, event: Event) -> None:
    """Have hotdesk asked for logins that never come, by somebody who knows no password."""
    alias = next(iter(stage.world.agents.values())).alias
    for number in range(event.count or 0):
        for controller in stage.controllers:
            if controller.answers and controller.pick(f"name{number}", alias, stage.controllers) is not None:
                break


def _order(stage: Stage, event: Event) -> None:
    at, by = round(stage.world.clock.wall * 1000), "anna"
    match event.order:
        case "drain" | "undrain":
            for dialer in stage.dialers(event):
                dialer.wanted_empty = event.order == "drain"
                drain = Drain(cluster=CLUSTER, ordered_at_ms=at, by=by, server_ip=dialer.server_ip)
                stage.order(entry_of(drain) if dialer.wanted_empty else _taken_back(drain))
        case "move":
            for agent, row in stage.sessions(event):
                session = row.live_agent_id
                stage.order(
                    entry_of(Move(cluster=CLUSTER, ordered_at_ms=at, by=by, user=agent.user, live_agent_id=session))
                )
        case "pause" | "resume":
            pause = Pause(cluster=CLUSTER, ordered_at_ms=at, by=by)
            stage.order(entry_of(pause) if event.order == "pause" else _taken_back(pause))
        case "unfence":
            fences = _fences_of(stage, event)
            for server_ip, planned_at_ms in fences.items():
                unfence = Unfence(
                    cluster=CLUSTER, ordered_at_ms=at, by=by, server_ip=server_ip, planned_at_ms=planned_at_ms
                )
                stage.order(entry_of(unfence))
        case _:
            owner = stage.owner()
            view = None if owner is None else owner.view()
            since_ms = None if view is None else view.state.observed.health.bad_since_ms
            if since_ms is not None:
                stage.order(entry_of(Unbrake(cluster=CLUSTER, ordered_at_ms=at, by=by, bad_since_ms=since_ms)))


def _fences_of(stage: Stage, event: Event) -> dict[str, int]:
    """Return when the fences of an event's dialers were planned, of those that hotdesk knows of."""
    owner = stage.owner()
    view = None if owner is None else owner.view()
    fences = {} if view is None else view.state.decided.fences
    ips = [each.server_ip for each in stage.dialers(event)]
    return {ip: fences[ip].planned_at_ms for ip in ips if ip in fences}


def _taken_back(order: AnyOrder) -> Entry:
    return Entry(Topic.ORDERS, str(key_of(order)), None)


def _takes(must: str = "", may: str = "", chosen_by: str = "", subjects: Mapping[str, str] | None = None) -> Takes:
    return Takes(frozenset(may.split()), frozenset(must.split()), chosen_by, subjects or {})


_DIALERS = _takes("dialer", "dialers for apart")
_PROBED = _takes("dialer", "dialers for apart probes")
_FLAG = _takes("dialer value", "dialers for")
_PART = _takes(may="for all")
_AGENTS = _takes("agent", "agents for")
_SOME_AGENTS = _takes(may="agent agents")
_ORDERED = {"drain": "dialer", "undrain": "dialer", "unfence": "dialer", "move": "agent"}

HAPPENINGS: Mapping[str, Happening] = {
    "updater_stops": Happening(_each(_updater_stops), _DIALERS),
    "updater_steps": Happening(_each(_updater_steps), _DIALERS),
    "asterisk_killed": Happening(_each(_asterisk_killed), _DIALERS),
    "asterisk_hangs": Happening(_each(_asterisk_hangs), _DIALERS),
    "asterisk_restarts": Happening(_each(_asterisk_killed), _DIALERS, RESTART_SECONDS),
    "host_killed": Happening(_each(_host_killed), _DIALERS),
    "host_vanishes": Happening(_each(_host_vanishes), _DIALERS),
    "comes_back": Happening(_each(_comes_back), _takes("dialer", "dialers with_sessions")),
    "database_link_cut": Happening(_each(_link_cut), _DIALERS),
    "database_restarts": Happening(_database_restarts, _takes(may="for back_after"), DATABASE_RESTART_SECONDS),
    "database_switches_over": Happening(_another_is_asked, _takes(may="for")),
    "replication_stops": Happening(_another_is_asked, _takes(may="for")),
    "table_locked": Happening(_table_locked, _takes(may="for"), LOCK_SECONDS),
    "agents_refused": Happening(_agents_refused, _takes(may="for")),
    "active": Happening(_each(_active), _FLAG),
    "agent_logins": Happening(_each(_agent_logins), _FLAG),
    "firewall_refuses": Happening(_each(_firewall_refuses), _PROBED),
    "ami_denied": Happening(_each(_ami_denied), _DIALERS),
    "ports_cut": Happening(_each(_ports_cut), _PROBED),
    "collector_stops": Happening(partial(_stops, "collector"), _PART),
    "collector_restarts": Happening(partial(_restarts, "collector"), _PART, PROCESS_SECONDS),
    "collector_cut_from_log": Happening(partial(_cut_from_log, "collector"), _PART),
    "controller_stops": Happening(partial(_stops, "controller"), _PART),
    "controller_restarts": Happening(partial(_restarts, "controller"), _PART, PROCESS_SECONDS),
    "controller_cut_from_log": Happening(partial(_cut_from_log, "controller"), _PART),
    "log_unavailable": Happening(_log_unavailable, _takes(may="for")),
    "machine_paused": Happening(_machine_paused, _takes("part", "for all")),
    "clock_steps": Happening(_clock_steps, _takes("of by", "dialer dialers for", "of", {"dialer": "dialer"})),
    "web_hangs": Happening(_web_hangs, _takes("web", "for")),
    "web_returns": Happening(_web_returns, _takes("web")),
    "web_slow": Happening(_web_slow, _takes("web by", "for")),
    "phone_dies": Happening(_phone_dies, _AGENTS),
    "phone_refuses": Happening(_phone_refuses, _AGENTS),
    "tab_hidden": Happening(_tab_hidden, _AGENTS),
    "call_ends": Happening(_call_ends, _SOME_AGENTS),
    "disposes": Happening(_disposes, _SOME_AGENTS),
    "logs_in": Happening(_logs_in, _takes("agent", "agents dialer")),
    "second_session": Happening(_second_session, _takes("agent dialer", "agents for")),
    "logs_out": Happening(_logs_out, _takes("agent", "agents")),
    "manager_pauses": Happening(_manager_pauses, _takes("agent", "agents")),
    "names_typed": Happening(_names_typed, _takes("count")),
    "order": Happening(_order, _takes("order", "dialer dialers agent agents", "order", _ORDERED)),
}

TAKES: Mapping[str, Takes] = {name: each.takes for name, each in HAPPENINGS.items()}


def happen(stage: Stage, event: Event) -> None:
    """Let an event happen, and plan its end."""
    kind = HAPPENINGS[event.do]
    stage.world.note(f"-- {event.do}")
    ended = kind.begin(stage, event)
    stage.world.look()
    lasts = event.lasts if event.lasts is not None else kind.lasts
    if ended is None or lasts is None:
        return

    def end() -> None:
        stage.world.note(f"-- over: {event.do}")
        ended()
        stage.world.look()

    stage.world.clock.after(lasts, end)
