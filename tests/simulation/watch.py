"""The invariants of the architecture, looked at whenever something happens: by what is true, not by what is known.

Number 11, the login hook's deadline, has no part in a world without HTTP.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from controller.core.cluster import STALE_SECONDS, Cluster
from controller.core.clusters import Clusters
from controller.core.detector import DRAIN_SECONDS
from controller.core.moves import MOVES_COUNTED_SECONDS
from controller.core.news import NEVER, Stamp
from controller.core.policy import Policy
from controller.core.ranking import rank_dialers
from controller.core.state import ClusterState
from controller.core.verdicts import HUNG_SECONDS
from messages.codec import decode
from messages.codes import DecisionCode
from messages.records import (
    Action,
    AgentPause,
    Arrival,
    ArrivalStage,
    Decision,
    Fence,
    FenceStage,
    ProbeResult,
    Relogin,
    ReloginStage,
)
from messages.topics import Topic
from stream.log import Stored
from tests.simulation.controlling import Controller, Group, Picked, read
from tests.simulation.processes import CLUSTER
from tests.simulation.wire import Claim, Wire
from tests.simulation.world import LOGOUT, Agent, Dialer, Live, World
from tests.support.invariants import Invariant


class BrokenError(AssertionError):
    """An invariant does not pause."""

    def __init__(self, invariant: Invariant, what: str) -> None:
        super().__init__(f"invariant {invariant.value}, {invariant.name.lower().replace('_', ' ')}: {what}")
        self.invariant = invariant


POLL = 0.5
BELIEF_SECONDS = 1.01
"""So long a process may believe what it last heard of its group."""
CHANNELS_SECONDS = 25.0
"""By then the table of a dialer's channels is known to be kept up, and was read."""
MISSING_SECONDS = 45.0
"""By then an agent who was moved and whose phone is in no room is listed."""
NEWS_SECONDS = 3.0
"""From something that happens to the decision that heeds it, and to an act that was under way: a poll, the log, a
commit, the executor's queue, and the second for which a process may believe what it last heard."""
RESTARTED_SECONDS = 90.0
"""For this time from the start of its Asterisk a dialer's sessions from before may be moved: the minute that its
updater takes, and the agents' dispositions."""
UNDER_WAY_SECONDS = POLL + 1.1
"""The same from the last poll that did not know of it, where the act takes VICIdial a second."""


class Watch:
    """Looks at every act and every answer."""

    def __init__(  # noqa: PLR0913 # what it looks at, each once
        self, world: World, wire: Wire, group: Group, policy: Policy, *, probes: bool, cluster: str = CLUSTER
    ) -> None:
        self.cluster = cluster
        self.world = self._world = world
        self.wire = self._wire = wire
        self._group = group
        self._policy = policy
        self._probes = probes
        self.controllers: Sequence[Controller] = ()
        self.paused_since: float | None = None
        """Since when people have the cluster suspended."""
        self.unbraked = False
        self.unsteady_at = 0.0
        """When something last happened to hotdesk itself, or ended."""
        self.hindered = 0
        """How many of the faults that are there now hinder hotdesk in this cluster."""
        self.blinded: list[tuple[float, float]] = []
        """From when to when hotdesk could not see or decide, in the order of the ends."""
        self._sent: deque[float] = deque()
        self._acted: list[tuple[str, str]] = []
        self._moved: defaultdict[str, list[float]] = defaultdict(list)
        """By user: when they were logged out in the last ten minutes."""
        self._landed: set[tuple[str, int]] = set()
        """Users, and when the move was planned whose LOGOUT reached their screen."""
        self._stamps: dict[tuple[str, int], Stamp] = {}
        self._collectors: dict[int, str] = {}
        """By epoch: who polled in it."""
        self._polled_at: dict[Stamp, float] = {}

    @property
    def _now(self) -> float:
        return self._world.clock.now

    # --- whose the cluster is: `processes.Sees`, `hands.Sees` ---------------------------------------------------------

    def claims(self, name: str, former: Claim | None) -> None:
        """Check a claim, and at the one before it: who has one that is of use needs no other."""
        self._owns(name, "claims")
        if former is None or former.by != name or former.failed:
            return
        if self._group.owned_since(name, self._wire.partition) < former.made_at:
            raise BrokenError(Invariant.ONE_FOR_ANOTHER, f"{name} gave up its claim, and nothing was wrong with it")

    def ranks(self, name: str) -> None:
        """Check who judges the dialers and says so."""
        self._owns(name, "judges the dialers")

    def decides(self, name: str, unknown: int) -> None:
        """Check decisions that were stored just now, and how many earlier ones their maker did not know."""
        if unknown:
            raise BrokenError(Invariant.DECIDED_BY_ANOTHER, f"{name} decides without knowing {unknown} decisions")

    def polls(self, name: str, stamp: Stamp, *, holds_lock: bool) -> None:
        """Check a collector that polls."""
        epoch, _ = stamp
        self._polled_at[stamp] = self._now
        if not holds_lock:
            raise BrokenError(Invariant.TWO_COLLECT, f"{name} polls in epoch {epoch} without the lock")
        if self._collectors.setdefault(epoch, name) != name:
            raise BrokenError(Invariant.TWO_COLLECT, f"epoch {epoch} of {self._collectors[epoch]} is used by {name}")

    def acts(self, name: str) -> None:
        """Check whoever is about to change something in VICIdial."""
        self._owns(name, "acts")
        view = next(each.view(self.cluster) for each in self.controllers if each.name == name)
        age = 0.0 if view is None else self._now - self._polled_at[view.state.observed.stamp]
        if age > STALE_SECONDS + NEWS_SECONDS:
            raise BrokenError(Invariant.ACTED_LATE, f"{name} acts on a poll of {age:.1f} s ago")

    def _owns(self, name: str, what: str) -> None:
        lost_seconds = self._group.lost_seconds(name, self._wire.partition)
        if lost_seconds > BELIEF_SECONDS:
            raise BrokenError(
                Invariant.DECIDED_BY_ANOTHER, f"{name} {what}, and lost the cluster {lost_seconds:.1f} s ago"
            )

    # --- acts: `hands.Sees` -----------------------------------------------------------------------------------------

    def sending(self, relogin: Relogin) -> None:
        """Check a LOGOUT that is about to be sent."""
        self._may_change(relogin, "a LOGOUT")
        if relogin.stage is ReloginStage.HANGING_UP:
            return  # its LOGOUT is still to come, and is counted then
        self._sent.append(self._now)
        while self._now - self._sent[0] >= 1.0:
            self._sent.popleft()
        most = max(1, round(self._policy.moves_per_second))
        # each process keeps the pace; one that has just taken over knows nothing of its predecessor's last second
        if len(self._sent) > most and self._now - self.unsteady_at > 2.0:
            raise BrokenError(Invariant.TOO_MANY_OR_TOO_FAST, f"{len(self._sent)} LOGOUTs within a second, of {most}")
        self._acted.append((relogin.user, "told the agent's screen to log out"))

    def logs_out(self, row: Live, relogin: Relogin, sent_at: float, *, hangs_up: bool) -> None:
        """Check a LOGOUT that reaches a session which was not told before."""
        dialer = self._world.dialers[row.server_ip]
        if row.live_agent_id != relogin.live_agent_id:
            if row.born <= sent_at:
                raise BrokenError(Invariant.LOGGED_OUT_TWICE, f"meant for another session of {row.user}")
            return  # within the window that the agent API leaves, and the documents state
        if row.told_at is not None:
            raise BrokenError(Invariant.LOGGED_OUT_TWICE, f"session {row.live_agent_id} of {row.user}, again")
        self._has_cause(dialer, relogin.incident, row)
        self._is_below_the_brake(relogin.incident)
        self._is_moved_seldom(row.user)
        self._landed.add((row.user, relogin.planned_at_ms))
        if hangs_up:
            self.hangs_up(row)

    def _is_moved_seldom(self, user: str) -> None:
        moved = self._moved[user] = [at for at in self._moved[user] if self._now - at < MOVES_COUNTED_SECONDS]
        moved.append(self._now)
        if len(moved) > self._policy.moves_of_a_user:
            raise BrokenError(Invariant.MOVED_WITHOUT_END, f"{user} was logged out {len(moved)} times in ten minutes")

    def hangs_up(self, row: Live) -> None:
        """Check a call that is ended."""
        dialer = self._world.dialers[row.server_ip]
        if row.status == "INCALL" and row.changed_at > dialer.started_at and self._has_lived(dialer):
            raise BrokenError(Invariant.CALL_CUT_OFF, f"{row.user} was told to hang up on {row.server_ip}, which lives")

    def pauses(self, row: Live, pause: AgentPause, sent_at: float) -> None:
        """Check a pause."""
        self._may_change(pause, "a pause")
        self._acted.append((row.user, "told the agent's screen to pause"))
        if row.external_pause == LOGOUT and (row.told_at or 0.0) < sent_at:
            raise BrokenError(Invariant.STRANDED, f"a pause took the place of the LOGOUT of {row.user}")
        if row.live_agent_id == pause.live_agent_id:
            self._has_cause(self._world.dialers[row.server_ip], pause.incident, row)

    def resumes(self, row: Live, action: AgentPause | Arrival, sent_at: float) -> None:
        """Check a pause that is taken back, or an agent who is to wait again after a move."""
        self._may_change(action, "a resume")
        self._acted.append((row.user, "told the agent's screen to resume"))
        if row.external_pause == LOGOUT and (row.told_at or 0.0) < sent_at:
            raise BrokenError(Invariant.STRANDED, f"a resume took the place of the LOGOUT of {row.user}")
        mark = action.mark if isinstance(action, AgentPause) else ""
        if row.live_agent_id == action.live_agent_id and row.external_pause != mark and row.told_at is None:
            raise BrokenError(Invariant.MOVED_WITHOUT_CAUSE, f"somebody else had paused {row.user}")
        unheard = row.phone_at is None and self._shows_channels(row)
        if isinstance(action, Arrival) and row.live_agent_id == action.live_agent_id and unheard:
            raise BrokenError(Invariant.WAITS_UNHEARD, f"{row.user} was made ready, and their phone is in no room")

    def _shows_channels(self, row: Live) -> bool:
        """Return True if hotdesk must know by now whether the phone of a session is in its room."""
        dialer, world = self._world.dialers[row.server_ip], self._world
        since = max(
            row.born, dialer.started_at, dialer.silent_until, dialer.well_since, world.thawed_at, self.unsteady_at
        )
        return dialer.updates and world.beats_frozen_at is None and self._now - since > CHANNELS_SECONDS

    def calls(self, row: Live, arrival: Arrival) -> None:
        """Check a phone that is called again."""
        self._may_change(arrival, "a call of a phone")
        self._acted.append((row.user, "had the agent's phone called again"))
        there = row.phone_at is not None and self._now - row.phone_at > NEWS_SECONDS
        if there and row.live_agent_id == arrival.live_agent_id and self._world.phone_is_there(row):
            raise BrokenError(Invariant.MOVED_WITHOUT_CAUSE, f"the phone of {row.user} was called, and is in its room")

    def fences(self, fence: Fence) -> None:
        """Check a fence that is taken or given back."""
        self._may_change(fence, "a fence")
        dialer = self._world.dialers[fence.server_ip]
        if fence.stage is FenceStage.PLANNED:
            self._has_cause(dialer, fence.incident)
            others = [each for each in self._world.dialers.values() if each is not dialer]
            if not any(each.logins for each in others):
                raise BrokenError(Invariant.OFFERS_THE_UNFIT, f"{fence.server_ip} was the last that takes logins")
            dialer.fenced = True
        elif not dialer.fenced:
            raise BrokenError(Invariant.MOVED_WITHOUT_CAUSE, f"{fence.server_ip} was closed by somebody else")
        else:
            dialer.fenced = False

    def ends(self, row: Live, relogin: Relogin) -> None:
        """Check an emergency logout."""
        self._may_change(relogin, "an emergency logout")
        self._acted.append((row.user, "ended the agent's session in VICIdial's tables"))
        dialer = self._world.dialers[row.server_ip]
        self._has_cause(dialer, relogin.incident, row)
        if not self._policy.emergency_logout:
            raise BrokenError(Invariant.CHANGED_WHILE_PAUSED, "an emergency logout was never allowed")
        if row.told_at is None:
            raise BrokenError(Invariant.LOGGED_OUT_TWICE, f"{row.user} was ended without having been told")
        if row.status == "INCALL" and row.changed_at > dialer.started_at and self._has_lived(dialer):
            raise BrokenError(Invariant.CALL_CUT_OFF, f"{row.user} was ended in a call on {row.server_ip}")

    def _may_change(self, action: Action, what: str) -> None:
        if action.cluster != self.cluster:
            raise BrokenError(Invariant.ONE_FOR_ANOTHER, f"{what} for {action.cluster} was sent to {self.cluster}")
        if not self._policy.acts:
            raise BrokenError(Invariant.CHANGED_WHILE_PAUSED, f"{what} in advise mode")
        if self.paused_since is not None and self._now - self.paused_since > NEWS_SECONDS:
            raise BrokenError(Invariant.CHANGED_WHILE_PAUSED, f"{what}, {self._now - self.paused_since:.1f} s paused")

    def _has_lived(self, dialer: Dialer) -> bool:
        if self._is_excused(dialer):
            return False
        return dialer.carries_calls and self._now - dialer.well_since > 2 * NEWS_SECONDS

    def _has_cause(self, dialer: Dialer, incident: str, row: Live | None = None) -> None:
        """Check that something was wrong with a dialer, or with the session on it that an action is about."""
        who = dialer.server_ip if row is None else row.user
        if who in self._world.remotes:
            raise BrokenError(Invariant.MOVED_WITHOUT_CAUSE, f"{who} is a remote agent, and has no screen")
        restarted = self._now - dialer.started_at < RESTARTED_SECONDS
        if row is not None and restarted and (row.born < dialer.started_at or row.phone_at is None):
            return  # the phone of that session is gone, or has not come, and nothing says since when
        if incident.startswith("order/") or self._is_excused(dialer):
            return
        if dialer.troubled is None:
            if self._now - dialer.well_since > 2 * NEWS_SECONDS:
                why = f"{dialer.server_ip} has been well for {self._now - dialer.well_since:.1f} s"
                raise BrokenError(Invariant.MOVED_WITHOUT_CAUSE, f"{who}: {why}")
        elif dialer.carries_calls and not dialer.wanted_empty and self._now - dialer.troubled < DRAIN_SECONDS - POLL:
            why = f"{dialer.server_ip} was switched off {self._now - dialer.troubled:.1f} s ago"
            raise BrokenError(Invariant.MOVED_WITHOUT_CAUSE, f"{who}: {why}")

    def _is_excused(self, dialer: Dialer) -> bool:
        """Return True if everything that can be known speaks for a death, or somebody has decided not to doubt it."""
        silent = self._world.restarted or self._looks_bad_since(dialer) < self._now
        silent = silent or self._now - max(dialer.silent_until, self._world.thawed_at) < UNDER_WAY_SECONDS
        refused = ProbeResult.REFUSED in dialer.answers.values()
        unseen = dialer.cut_off or refused or self._now - dialer.reached_since < NEWS_SECONDS
        return silent and (unseen or self.unbraked)

    def _is_below_the_brake(self, incident: str) -> None:
        """Check that at most half of the dialers in service look bad, as anybody must see by now."""
        if incident.startswith("order/") or self.unbraked:
            return
        now, serve = self._now, [each for each in self._world.dialers.values() if each.active]
        # one that died while nothing could be written looked alive once more when that was over
        bad = [
            each
            for each in serve
            if max(self._looks_bad_since(each), self._world.thawed_at) < now - HUNG_SECONDS / 2 - POLL
        ]
        if len(bad) < 2 or len(bad) <= len(serve) / 2:
            return
        since = sorted(map(self._looks_bad_since, bad))[len(serve) // 2]
        raise BrokenError(
            Invariant.MOVED_ABOVE_THE_BRAKE, f"{len(bad)} of {len(serve)} dialers look bad for {now - since:.1f} s"
        )

    def _looks_bad_since(self, dialer: Dialer) -> float:
        stopped = [at for at in (dialer.beats_until, self._world.beats_frozen_at) if at is not None]
        return min(stopped, default=self._now)

    # --- answers -----------------------------------------------------------------------------------------------------

    def picked(self, user: str, picked: Picked) -> None:
        """Check the answer to a login."""
        chosen = self._world.dialers[self._world.server_of(picked.phone_login)]
        bound = STALE_SECONDS + POLL + 1.0
        if chosen.unfit_since is not None and self._now - chosen.unfit_since > bound:
            why = f"{chosen.server_ip} is unfit for {self._now - chosen.unfit_since:.1f} s"
            raise BrokenError(Invariant.OFFERS_THE_UNFIT, f"{user}: {why}")
        fine = [
            each
            for each in self._world.dialers.values()
            if each.unfit_since is None and each.dead_since is None and self._now - each.well_since > 700
        ]
        dead_since = chosen.dead_since
        if dead_since is not None and not chosen.dead:
            # its heartbeat goes on, so only probes can tell, from when they reach it
            dead_since = None if self._world.blind else max(dead_since, chosen.reached_since)
        for began, ended in self.blinded:
            if dead_since is not None and began < dead_since + bound + HUNG_SECONDS:
                # it could not be known by then, and is watched anew since
                dead_since = max(dead_since, ended)
        # one whose row was taken by a restart of the database is judged as it was before
        if fine and dead_since is not None and chosen.has_row and self._now - dead_since > bound + HUNG_SECONDS:
            why = f"{chosen.server_ip} is dead for {self._now - dead_since:.1f} s, and {fine[0].server_ip} is not"
            raise BrokenError(Invariant.OFFERS_THE_UNFIT, f"{user}: {why}")
        by = next(each for each in self.controllers if each.name == picked.by)
        most = self._policy.max_agents
        view = by.view(self.cluster)
        if view is not None and most is not None and not picked.degraded:
            state = view.state
            # counted here one by one, so that a count that is wrong is seen
            reserved = [each for each in state.decided.slots if each.server_ip == chosen.server_ip]
            agents = sum(state.observed.dialers[chosen.server_ip].agents.values())
            load = agents + len(reserved)
            # login forms close no dialer: where all others are full or unfit, only agents and planned slots count
            full = agents + sum(each.planned for each in reserved) >= most
            others = [each for each in rank_dialers(state, view.policy) if each.server_ip != chosen.server_ip]
            elsewhere = any(each.rank is not None and each.agents + each.slots < most for each in others)
            if load > most and (full or elsewhere) and self._now - self.unsteady_at > 2 * HUNG_SECONDS:
                raise BrokenError(Invariant.TOO_MANY_OR_TOO_FAST, f"{load} on {chosen.server_ip}, of {most}")

    def switched_off(self, server_ip: str, at: float) -> None:
        """Check that all controllers know by now that a dialer was switched off."""
        if self.unsteady_at > at - HUNG_SECONDS or self._world.dialers[server_ip].active:
            return
        for controller in self.controllers:
            view = controller.view(self.cluster)
            if view is not None and controller.answers and not view.stale(controller.now()):
                standing = [each for each in rank_dialers(view.state, view.policy) if each.server_ip == server_ip]
                if standing and standing[0].rank is not None:
                    raise BrokenError(Invariant.SWITCHED_OFF_TOO_LATE, f"{server_ip} is offered by {controller.name}")

    # --- states ------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Check what every controller knows."""
        for controller in self.controllers:
            view = controller.view(self.cluster)
            if controller.dead or view is None:
                continue
            place = (controller.name, controller.life)
            before, stamp = self._stamps.get(place, NEVER), view.state.observed.stamp
            if stamp < before:
                raise BrokenError(Invariant.REPLAY_DIFFERS, f"{controller.name} went back from {before} to {stamp}")
            self._stamps[place] = stamp
            poll = view.state.observed.poll
            if poll is not None and stamp > before:
                known = Counter(each.server_ip for each in view.state.observed.agents.values() if not each.remote)
                for dialer in poll.dialers:
                    counted, there = sum(dialer.agents.values()), known[dialer.server_ip]
                    if counted != there:
                        raise BrokenError(
                            Invariant.REPLAY_DIFFERS,
                            f"{controller.name} counts {counted} on {dialer.server_ip} and knows {there} of them",
                        )

    def owners_view(self) -> Cluster | None:
        """Return what the owner knows of the cluster; None: nobody owns it."""
        return next((each.view(self.cluster) for each in self.controllers if each.decides(self.cluster)), None)

    def _stored(self, topic: Topic) -> list[Stored]:
        """Return the cluster's records."""
        return [each for each in self._wire.topics[topic] if each.key.partition("/")[0] == self.cluster]

    def at_rest(self) -> None:
        """Check the log when all is quiet: what it says again, and whether it says why."""
        self._replays()
        self._says_why()
        self._withdrew_nothing_that_landed()

    def _replays(self) -> None:
        fresh = Clusters("replay", "", 1, {self.cluster: self._policy})
        for topic in (Topic.OBSERVATIONS, Topic.ORDERS, Topic.LOGINS, Topic.RANKINGS, Topic.INCIDENTS, Topic.RELOGINS):
            fresh.fold([read(stored) for stored in self._stored(topic)], 0.0, live=False)
        again = fresh.by_name[self.cluster].state
        for controller in self.controllers:
            view = controller.view(self.cluster)
            if view is None or not controller.answers or view.state.observed.stamp != again.observed.stamp:
                continue
            if rank_dialers(view.state, view.policy) != rank_dialers(again, self._policy):
                mine, others = (
                    [(each.server_ip, each.rank, each.agents, each.slots, each.ineligible_because) for each in ranked]
                    for ranked in (rank_dialers(view.state, view.policy), rank_dialers(again, self._policy))
                )
                raise BrokenError(
                    Invariant.REPLAY_DIFFERS, f"the ranking of {controller.name} is {mine}, and by the log {others}"
                )
            known, said = (sorted(each.decided.actions, key=str) for each in (view.state, again))
            if controller.decides(self.cluster) and known != said:
                raise BrokenError(Invariant.REPLAY_DIFFERS, f"the actions of {controller.name} are not the log's")

    def _withdrew_nothing_that_landed(self) -> None:
        """Check that no move was said to be withdrawn whose LOGOUT reached its screen."""
        planned: dict[str, int] = {}
        for stored in self._stored(Topic.AUDIT):
            said = None if stored.value is None else decode(stored.topic, stored.value)
            if not isinstance(said, Decision):
                continue
            if said.code is DecisionCode.MOVE_PLANNED:
                planned[said.subject] = said.at_ms
            elif said.code is DecisionCode.MOVE_WITHDRAWN and (said.subject, planned.get(said.subject)) in self._landed:
                raise BrokenError(Invariant.ACTED_LATE, f"the move of {said.subject} was withdrawn, and had been sent")

    def _says_why(self) -> None:
        said = self._said()
        ordered = {user for user, code in said if code is DecisionCode.MOVE_PLANNED}
        for stored in self._stored(Topic.RELOGINS):
            record = None if stored.value is None else decode(stored.topic, stored.value)
            if isinstance(record, Relogin) and record.stage is ReloginStage.PLANNED and record.user not in ordered:
                raise BrokenError(Invariant.WITHOUT_A_REASON, f"{record.user} was moved, and nothing says why")
        opened = {each for each, code in said if code is DecisionCode.INCIDENT_OPENED}
        for stored in self._stored(Topic.INCIDENTS):
            if stored.key.rpartition("/")[2].partition("@")[0] not in opened:
                raise BrokenError(Invariant.WITHOUT_A_REASON, f"{stored.key} was opened, and nothing says why")

    def home(self) -> str:
        """Return what keeps the cluster from being as it should be; empty: nothing."""
        view = self.owners_view()
        if view is None:
            return "nobody owns the cluster"
        if view.withheld is not None:
            return f"moves are withheld: {view.withheld}"
        state = view.state
        offered = {each.server_ip for each in rank_dialers(state, self._policy) if each.rank is not None}
        complaints = [self._complaint_of(agent) for agent in self._world.agents.values()]
        complaints += [self._complaint_about(each, state, offered) for each in self._world.dialers.values()]
        return next(filter(None, complaints), "")

    def _complaint_of(self, agent: Agent) -> str:
        row = None if agent.row_id is None else self._world.rows.get(agent.row_id)
        if agent.hangs and (row is None or not self._policy.emergency_logout):
            return ""
        if row is None:
            return f"{agent.user} is logged out"
        if self._policy.acts and self._is_lost_on(self._world.dialers[row.server_ip]):
            return f"{agent.user} is on {row.server_ip}, where nobody hears them"
        if self._is_missing(row):
            return f"the phone of {agent.user} has not come after a move, and they are not listed"
        if not row.external_pause.startswith("PAUSE") or row.status != "PAUSED":
            return ""
        theirs = agent.user in self._world.paused_late or self._given_up(agent.user)
        return "" if theirs or row.phone_at is None else f"{agent.user} was paused, and not resumed"

    def _is_missing(self, row: Live) -> bool:
        """Return True if the phone of an agent who was moved is in no room, and that is known and not said."""
        view = self.owners_view()
        if view is None or not self._shows_channels(row):
            return False
        arrival = view.state.decided.arrivals.get(row.live_agent_id)
        waited = arrival is not None and arrival.stage in {ArrivalStage.AWAITED, ArrivalStage.CALLING}
        return waited and row.phone_at is None and self._now - row.born > MISSING_SECONDS

    def _complaint_about(self, dialer: Dialer, state: ClusterState, offered: set[str]) -> str:
        fit = dialer.carries_calls and dialer.active and dialer.logins and not dialer.wanted_empty
        full = (self._policy.max_agents or 1000) <= len(self._world.on(dialer.server_ip))
        if fit and not full and dialer.server_ip not in offered:
            return f"{dialer.server_ip} is fit, and not offered"
        if dialer.fenced and not dialer.dead and dialer.server_ip not in state.decided.fences:
            return f"the fence of {dialer.server_ip} was left behind"
        return ""

    def _given_up(self, user: str) -> bool:
        """Return True if hotdesk has said that it leaves the user's pause alone, since it may be somebody else's."""
        return (user, DecisionCode.PAUSE_NOT_TAKEN_BACK) in self._said()

    def _said(self) -> set[tuple[str, DecisionCode]]:
        """Return the subject and the code of every decision that was written down with its reason."""
        audit = [decode(each.topic, each.value) for each in self._stored(Topic.AUDIT) if each.value is not None]
        return {(each.subject, each.code) for each in audit if isinstance(each, Decision) and each.why}

    def _is_lost_on(self, dialer: Dialer) -> bool:
        if dialer.hung:
            return self._probes
        return dialer.dead or not dialer.active
