"""VICIdial as the executor meets it: rows that can be read, acts that are lost, or land late with nobody told."""

from collections.abc import Callable
from random import Random
from typing import Protocol

from controller.core.actions import Outcome, SessionRow
from controller.vicidial.ports import AgentControl, VicidialError, WhyNot
from messages.codes import Reply
from messages.records import AgentPause, Arrival, Fence, FenceStage, Relogin, ScreenRestore
from tests.simulation.world import LOGOUT, Dialer, Live, World

LATEST_SECONDS = 1.5
"""A request that was given up after its time limit can still be carried out within this time."""
FENCE_SECONDS = 0.5
"""A fence is the first that is done after a quiet day: so long after it its answer comes."""
HANG_SECONDS = 20.0
"""How long an act takes whose web server hangs, where nobody has set it a time limit."""
STATEMENT_SECONDS = 1.5
"""The server gives up a statement that waits for so long, so that it is never carried out later."""


class Sees(Protocol):
    """Is shown every change that hotdesk makes in VICIdial, before it is made."""

    def acts(self, name: str) -> None: ...

    def sending(self, relogin: Relogin) -> None: ...

    def logs_out(self, row: Live, relogin: Relogin, sent_at: float, *, hangs_up: bool) -> None: ...

    def hangs_up(self, row: Live) -> None: ...

    def pauses(self, row: Live, pause: AgentPause, sent_at: float) -> None: ...

    def resumes(self, row: Live, action: AgentPause | Arrival, sent_at: float) -> None: ...

    def calls(self, row: Live, arrival: Arrival) -> None: ...

    def fences(self, fence: Fence) -> None: ...

    def ends(self, row: Live, relogin: Relogin) -> None: ...


class Hands:
    """Reads and writes the world's tables. `names_user`: as the agent API does, else by session."""

    def __init__(self, world: World, draw: Random, seen: Sees, *, names_user: bool, loses: bool = True) -> None:
        self.names_user = names_user
        self.ways = 1
        self.by = ""
        self.control: AgentControl = self
        """How screens are reached: by these tables, or by something else."""
        self.hang = False
        """Whatever is sent waits, and is not done."""
        self._loses = loses
        """Now and then an act is not sent, or has no answer."""
        self._waited = 0.0
        self._world = world
        self._draw = draw
        self._seen = seen

    def sessions(self, user: str) -> tuple[SessionRow, ...]:
        """As `SessionReader.sessions`."""
        if not self._world.database_up:
            raise VicidialError("the database does not answer")
        rows = (self._world.seen_as_of or self._world).rows_of(user)
        return tuple(
            SessionRow(each.live_agent_id, each.server_ip, each.external_pause, each.status, each.lead_id)
            for each in rows
        )

    def ready(self) -> None:
        """As `AgentControl.ready`."""

    def log_out(self, relogin: Relogin, hang_up_as: str | None, why_not: WhyNot) -> Outcome:  # noqa: ARG002 # one step
        """As `AgentControl.log_out`."""
        self._seen.sending(relogin)
        sent_at = self._world.clock.now

        def land() -> bool:
            found = False
            for row in self._rows(relogin.user, relogin.live_agent_id, relogin.from_server_ip):
                if row.external_pause != LOGOUT or self.names_user:
                    found = True
                    if row.external_pause != LOGOUT:
                        self._seen.logs_out(row, relogin, sent_at, hangs_up=hang_up_as is not None)
                        row.told_at = self._world.clock.now
                    row.external_pause = LOGOUT
                    if hang_up_as is not None:
                        row.external_hangup, row.external_status = "1", hang_up_as
            return found

        return self._try(land, f"LOGOUT to {relogin.user}")

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """As `AgentControl.hang_up`."""
        self._seen.sending(relogin)

        def land() -> bool:
            for row in self._rows(relogin.user, relogin.live_agent_id, relogin.from_server_ip):
                self._seen.hangs_up(row)
                row.external_hangup, row.external_status = "1", hang_up_as
            return True

        return self._try(land, f"hang-up to {relogin.user}")

    def pause(self, pause: AgentPause) -> Outcome:
        """As `AgentControl.pause`."""
        sent_at = self._world.clock.now

        def land() -> bool:
            rows = self._rows(pause.user, pause.live_agent_id, pause.server_ip)
            for row in rows:
                if row.external_pause == LOGOUT and not self.names_user:
                    return False
                self._seen.pauses(row, pause, sent_at)
                if self._world.clock.now > sent_at:
                    self._world.paused_late.add(row.user)
                row.external_pause = f"PAUSE!{round(self._world.clock.now * 1000)}"
            return bool(rows)

        return self._try(land, f"PAUSE to {pause.user}")

    def resume(self, action: AgentPause | Arrival) -> Outcome:
        """As `AgentControl.resume`."""
        sent_at = self._world.clock.now
        mark = action.mark if isinstance(action, AgentPause) else ""

        def land() -> bool:
            rows = self._rows(action.user, action.live_agent_id, action.server_ip)
            for row in rows:
                if row.external_pause != mark and not self.names_user:
                    return False
                self._seen.resumes(row, action, sent_at)
                row.external_pause = f"RESUME!{round(self._world.clock.now * 1000)}"
            return bool(rows)

        return self._try(land, f"RESUME to {action.user}")

    def tell(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.tell`; it changes nothing."""
        return Outcome(Reply.DONE, arrival.notice)

    def call(self, arrival: Arrival) -> Outcome:
        """As `AgentControl.call`."""

        def land() -> bool:
            rows = self._rows(arrival.user, arrival.live_agent_id, arrival.server_ip)
            for row in rows:
                self._seen.calls(row, arrival)
                self._world.call_phone(row)
            return bool(rows)

        return self._try(land, f"call to the phone of {arrival.user}")

    def missing_rights(self, dead_call_status: str, *, tells: bool = False) -> str | None:  # noqa: ARG002 # as it is asked
        """As `AgentControl.missing_rights`."""
        return dead_call_status and ""

    def restore_screen(self, restore: ScreenRestore) -> Outcome:
        """As `Interventions.restore_screen`."""

        def land() -> bool:
            rows = self._rows(restore.user, restore.live_agent_id, restore.server_ip)
            for row in rows:
                self._world.restore_screen(row)
            return bool(rows)

        return self._try(land, f"screen of {restore.user}", lands_late=False)

    def fence(self, fence: Fence, *, first: bool) -> Outcome:
        """As `Interventions.fence`."""
        dialer, opening = self._world.dialers[fence.server_ip], fence.stage is FenceStage.RETURNING
        if fence.stage is FenceStage.LOOKING:
            return self._look_whose(dialer)

        def land() -> bool:
            if dialer.logins is opening:
                return False
            self._seen.fences(fence)
            dialer.logins = opening
            self._world.look()
            return True

        outcome = self._try(land, f"fence of {fence.server_ip}, {fence.stage}", lands_late=False)
        self.wait(FENCE_SECONDS)
        return self._look_whose(dialer) if outcome.reply is Reply.GONE and not (opening or first) else outcome

    def _look_whose(self, dialer: Dialer) -> Outcome:
        if not self._world.database_up:
            return Outcome(Reply.UNSENT, "the database does not answer")
        # as VICIdial's log of changes by people says
        ours = dialer.fenced and not dialer.logins
        return Outcome(Reply.DONE, "no person closed it") if ours else Outcome(Reply.GONE, "hotdesk did not close it")

    def end_session(self, relogin: Relogin) -> Outcome:
        """As `Interventions.end_session`."""

        def land() -> bool:
            row = self._world.rows.get(relogin.live_agent_id)
            if row is None or row.server_ip != relogin.from_server_ip:
                return False
            self._seen.ends(row, relogin)
            del self._world.rows[row.live_agent_id]
            return True

        return self._try(land, f"emergency logout of {relogin.user}", lands_late=False)

    def _rows(self, user: str, live_agent_id: int, server_ip: str) -> list[Live]:
        of_user = self._world.rows_of(user)
        if self.names_user:
            return of_user
        return [each for each in of_user if (each.live_agent_id, each.server_ip) == (live_agent_id, server_ip)]

    def wait(self, seconds: float) -> None:
        """Note that an act had to wait."""
        self._waited += seconds

    def waited(self) -> float:
        """Return for how long acts had to wait since this was last asked."""
        seconds, self._waited = self._waited, 0.0
        return seconds

    def _try(self, land: Callable[[], bool], what: str, *, lands_late: bool = True) -> Outcome:
        chance = self._draw.random() if self._loses else 1.0
        self._world.note(f"controller {self.by}: {what}")
        self._seen.acts(self.by)
        if self.hang or self._world.locked:
            self.wait(HANG_SECONDS if self.hang else STATEMENT_SECONDS)
            return Outcome(Reply.UNSENT, "it waited, for a table or a web server, until it was given up")
        if self._world.seen_as_of is not None:
            return Outcome(Reply.DONE, "done in a database that no screen asks any more")
        if not self._world.database_up or chance < 0.02:
            return Outcome(Reply.UNSENT, "could not connect")
        if chance < 0.04:
            return Outcome(Reply.UNCLEAR, "no answer")
        if chance < 0.08:
            if lands_late:
                self._world.clock.after(self._draw.uniform(0.0, LATEST_SECONDS), land)
            else:
                land()
            return Outcome(Reply.UNCLEAR, "no answer, though it was done")
        return Outcome(Reply.DONE, "done") if land() else Outcome(Reply.GONE, "nobody there")
