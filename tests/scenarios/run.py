"""One scenario: a cluster, hotdesk's real core on a virtual clock, the events of the file, and what came of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from controller.core.state import ClusterState
from controller.vicidial.agent_api import AgentApi
from messages.codes import DecisionCode
from messages.records import HookSight
from stream.entries import entry_of
from tests.scenarios.events import TAKES, Stage, happen
from tests.scenarios.measure import LISTED, Measure
from tests.scenarios.story import ROOMS, Bound, Count, Seconds, Story, StoryError, read_story
from tests.scenarios.webs import Webs
from tests.simulation.collecting import Database
from tests.simulation.controlling import Group
from tests.simulation.hands import Hands
from tests.simulation.processes import CLUSTER
from tests.simulation.running import end_tasks, pass_until, run_silently, two_collectors, two_controllers
from tests.simulation.setup import ClusterSetup
from tests.simulation.wire import Wire
from tests.simulation.world import Agent, Clock, Dialer, Habits, Live, World

WARM_UP_SECONDS = 15.0
"""Before a scenario's own time begins: everybody is there, and hotdesk has seen every heartbeat advance."""
PLACED_AFTER_SECONDS = 3.0
ENDED_BEFORE_SECONDS = 2.0
"""So long before the first event ended the calls of those who are in wrap-up then."""
WRAP_UP_SECONDS = (5.0, 30.0)
BACK_SECONDS, BACK_BY_HAND_SECONDS, UNASKED_SECONDS = 2.5, 15.0, 60.0
"""From a logout to the next login: through the hook, by hand, and by hand where the agent does not expect it."""
BUDGET = 500
"""How many records a controller folds in one turn: enough for the largest cluster of a scenario."""


class Row(NamedTuple):
    """What came of one scenario."""

    name: str
    logouts: int
    arrived: int
    calls_ended: int
    dispositions_lost: int
    most_moves: int
    silence: float
    differences: tuple[str, ...]
    """What differs from what is expected."""
    timeline: tuple[str, ...]


def files(place: Path) -> list[Path]:
    """Return the scenarios of a folder, or the one file.

    Raises:
        StoryError: there are none.
    """
    found = sorted(place.glob("*.toml")) if place.is_dir() else [place]
    if not found:
        raise StoryError(f"{place} has no scenarios: they are files that end with .toml")
    return found


def play_file(path: Path) -> Row:
    """Read a file, and play it.

    Raises:
        StoryError: it is no scenario.
    """
    return play(read_story(path, TAKES))


def play(story: Story) -> Row:
    """Play a scenario to its end."""
    return run_silently(_Play(story).run)


class _Play:
    def __init__(self, story: Story) -> None:
        self._story = story
        self._draw = draw = Random(story.seed)  # noqa: S311 # it must repeat
        self._clock = Clock(story.starts.timestamp() - WARM_UP_SECONDS)
        self._began = self._clock.now + WARM_UP_SECONDS
        self._timeline: list[str] = []
        ips = [f"10.0.0.{number}" for number in range(1, story.dialers + 1)]
        wrapup = WRAP_UP_SECONDS if story.wrapup is None else (story.wrapup, story.wrapup)
        self._world = world = World(
            clock=self._clock,
            draw=draw,
            dialers={ip: Dialer(ip, born=self._clock.now, started_at=self._clock.now) for ip in ips},
            agents={
                str(1000 + number): Agent(str(1000 + number), f"desk{1000 + number}", web=1 + (number - 1) % story.webs)
                for number in range(1, story.agents + 1)
            },
            note=self._note,
            choose=self._choose,
            habits=Habits(0.0, 0.0, 0.0, 0.0, 0.0, wrap_up_seconds=wrapup),
            back_after=self._back_after,
            kinds=story.probes,
            sip_is_paced="sip" in story.probes and story.settings.sip_pace == "in_doubt",
            tells_start="ami" in story.probes,
            weights="\n".join(f"10.0.0.{number},{weight}" for number, weight in story.weights.items()),
            older_updaters=story.older_updaters,
            grouping=story.grouping,
            grouping_limit=story.grouping_limit,
            rooms=ROOMS,
            keeps_logins=True,
            calls_every=story.calls_every,
        )
        self._set_registrations()
        policy = story.settings.policy()
        wire, group, database = Wire(self._clock, draw, loses=False), Group(self._clock, draw), Database(world)
        if story.hook:
            asked = HookSight(cluster=CLUSTER, web="web1", seen_at_ms=round(self._clock.wall * 1000))
            wire.store([entry_of(asked)])
        self._measure = measure = Measure(world, wire, policy)
        by_api = story.settings.acts_by == "api"
        hands = Hands(world, draw, measure, names_user=by_api, loses=False)
        webs = Webs(world, measure)
        webs.hands = hands
        if by_api:
            urls = [f"http://web{number}/agc/api.php" for number in range(1, story.webs + 1)]
            hands.control = AgentApi(urls, "hotdesk", "secret", transport=webs, clock=lambda: self._clock.now)
        setup = ClusterSetup(world, wire, policy, hands, seen=measure)
        collectors = two_collectors(setup, database, draw, probes=bool(story.probes))
        self._controllers = two_controllers([setup], group, draw, budget=BUDGET)
        measure.controllers = self._controllers
        self._stage = Stage(world, wire, database, collectors, self._controllers, webs, measure)

    async def run(self) -> Row:
        """Play it."""
        story = self._story
        self._place_agents()
        self._world.start()
        for event in story.events:
            self._clock.at(self._began + event.at, lambda event=event: happen(self._stage, event))  # type: ignore[misc]
        if story.calls_sent_every is not None:
            self._send_calls(story.calls_sent_every)
        await pass_until(self._began + story.duration, self._clock, self._controllers, self._measure.look)
        await end_tasks()
        measure = self._measure
        return Row(
            story.name,
            len(measure.logouts),
            len(measure.arrived_at),
            measure.calls_ended(),
            measure.dispositions_lost(),
            measure.most_moves(),
            measure.silence,
            tuple(self._differences()),
            tuple(self._timeline),
        )

    # --- the beginning -----------------------------------------------------------------------------------------------

    def _set_registrations(self) -> None:
        world, story = self._world, self._story
        everybody = list(world.agents.values())
        agents = [everybody[number - 1] for number in story.unregistered_agents] or everybody
        dialers = [f"10.0.0.{number}" for number in story.unregistered]
        world.unregistered = {world.login_of(each.user, ip) for each in agents for ip in dialers}

    def _place_agents(self) -> None:
        """Have everybody logged in, spread evenly: some in calls, some whose calls will end, and the others waiting."""
        world, story = self._world, self._story
        ips, agents = list(world.dialers), list(world.agents.values())
        for number, agent in enumerate(agents):
            world.log_in(agent, ips[number % len(ips)])
        in_calls, in_wrapup = round(story.in_calls * len(agents)), round(story.in_wrapup * len(agents))
        first = min((each.at for each in story.events), default=Seconds(0))

        def begin() -> None:
            for number, agent in enumerate(agents):
                row = world.rows.get(agent.row_id or 0)
                if row is None:
                    continue  # moved already, as by a window that has begun
                if number < in_calls + in_wrapup:
                    world.begin_call(agent, row, float("inf"))
                else:
                    world.becomes(row, "READY")

        def end(some: list[Agent]) -> None:
            for agent in some:
                row = world.rows.get(agent.row_id or 0)
                if row is not None and agent.call_until is not None:
                    world.end_call(agent, row)

        self._clock.after(PLACED_AFTER_SECONDS, begin)
        wraps_at = self._began + first - ENDED_BEFORE_SECONDS
        self._clock.at(wraps_at, lambda: end(agents[in_calls : in_calls + in_wrapup]))
        if story.calls_last is not None:
            self._clock.at(self._began + first + story.calls_last, lambda: end(agents[:in_calls]))

    def _send_calls(self, every: float) -> None:
        """Have VICIdial send one call after the other, from the scenario's own time on."""

        def send() -> None:
            self._measure.send_call()
            self._clock.after(every, send)

        self._clock.at(self._began, send)

    # --- people ------------------------------------------------------------------------------------------------------

    def _back_after(self, agent: Agent, row: Live | None) -> float:
        """Return how soon an agent who was logged out is back."""
        if not self._story.hook:
            return BACK_BY_HAND_SECONDS
        if row is None:
            return UNASKED_SECONDS
        for controller in self._controllers:
            view = controller.view()
            if view is not None and controller.answers and _has_order(view.state, row):
                return BACK_SECONDS
        self._note(f"the screen of {agent.user} finds no re-login")
        return UNASKED_SECONDS

    def _choose(self, user: str, alias: str) -> str | None:
        """Ask hotdesk as the login hook does: each of its processes, until one answers."""
        if not self._story.hook:
            return None
        for asked in self._controllers:
            picked = asked.pick(user, alias, self._controllers) if asked.answers else None
            if picked is not None:
                self._measure.picked(self._world.server_of(picked.phone_login))
                return picked.phone_login
        return None

    def _note(self, what: str) -> None:
        self._timeline.append(f"{self._clock.now - self._began:8.2f}  {what}")

    # --- the end -----------------------------------------------------------------------------------------------------

    def _differences(self) -> Iterator[str]:
        expect, measure = self._story.expect, self._measure
        counted: dict[str, Callable[[], int]] = {
            "logouts": lambda: len(measure.logouts),
            "false_logouts": lambda: measure.false_logouts,
            "calls_ended": measure.calls_ended,
            "dispositions_lost": measure.dispositions_lost,
            "moves_of_a_user": measure.most_moves,
            "listed": lambda: measure.said(LISTED),
            "paused": lambda: len(measure.paused),
            "advised": lambda: measure.said({DecisionCode.MOVE_ADVISED}),
            "logins_lost": lambda: measure.logins_lost,
            "unheard": measure.still_unheard,
            "calls_unheard": lambda: measure.calls_unheard,
            "still_ready": measure.still_ready,
        }
        for name, count in counted.items():
            wanted: Count | None = getattr(expect, name)
            if wanted is not None and not _allows(wanted, count()):
                yield f"{name} {count()}, not {wanted}"
        sets = {
            "judged_down": measure.judged_down,
            "fenced": measure.fenced,
            "closed": {each.server_ip for each in self._world.dialers.values() if not each.logins},
            "emptied": {ip for ip in self._world.dialers if not self._world.on(ip)},
        }
        for name, found in sets.items():
            numbers = sorted(int(ip.rpartition(".")[2]) for ip in found)
            named: tuple[int, ...] | None = getattr(expect, name)
            if named is not None and numbers != sorted(named):
                yield f"{name} {numbers}, not {sorted(named)}"
        if expect.braked is not None and measure.braked is not expect.braked:
            yield f"braked {measure.braked}, not {expect.braked}"
        yield from self._too_long()

    def _too_long(self) -> Iterator[str]:
        expect, measure = self._story.expect, self._measure
        if expect.arrived_within is not None:
            arrived = measure.arrived_seconds()
            if arrived is None:
                yield f"{len(measure.told) - len(measure.arrived_at)} of {len(measure.told)} never arrived"
            elif arrived > expect.arrived_within:
                yield f"arrived within {arrived:.0f} s, not {expect.arrived_within:.0f}"
        first = min((each.at for each in self._story.events), default=Seconds(0))
        last = max((at - self._began - first for at, _ in measure.logouts), default=0.0)
        limits = {
            "last logout after": (last, expect.last_logout_within),
            "silence": (measure.silence, expect.silence),
            "ready without being heard": (measure.ready_unheard, expect.ready_unheard),
            "undecided": (measure.undecided, expect.undecided),
        }
        for name, (seconds, most) in limits.items():
            if most is not None and seconds > most:
                yield f"{name} {seconds:.0f} s, not at most {most:.0f}"


def _allows(wanted: Count, number: int) -> bool:
    return wanted.allows(number) if isinstance(wanted, Bound) else wanted == number


def _has_order(state: ClusterState, row: Live) -> bool:
    """Return True if the screen of a session that ended finds that hotdesk ended it."""
    slot = state.decided.slots.of(row.user)
    late = slot is not None and slot.planned and slot.replaces == row.live_agent_id
    return late or row.live_agent_id in state.decided.relogins
