"""The ports of an executor to VICIdial: reading sessions, agent control, changes of tables."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from controller.core.actions import Outcome, SessionRow
from messages.records import AgentPause, Arrival, Fence, Relogin, ScreenRestore


class VicidialError(Exception):
    """VICIdial's database could not be read; `str()` is one line that says why."""


class SessionReader(Protocol):
    """Reads rows of `vicidial_live_agents`."""

    def sessions(self, user: str) -> Sequence[SessionRow]:
        """Return every row of a user.

        Raises:
            VicidialError: the database does not answer or refuses.
        """
        ...


WhyNot = Callable[[], Outcome | None]
"""Looks and asks anew whether an action may go on; returns the outcome of one that may not, None: it may."""


class AgentControl(Protocol):
    """Sends logouts, pauses and resumes to agents' screens."""

    names_user: bool
    """It addresses a user and not a session: it would end every session of that user."""

    @property
    def ways(self) -> int:
        """How many ways it has to reach screens; a way that failed is not the next one tried."""
        ...

    def ready(self) -> Outcome | None:
        """Return why nothing can be sent in the way that is next; None: it can. Asked before the caller looks."""
        ...

    def log_out(self, relogin: Relogin, hang_up_as: str | None, why_not: WhyNot) -> Outcome:
        """Send the screen a logout; `hang_up_as`: the screen is in a call, to hang up and dispose with this status.

        Empty: the agent disposes the call; None: there is no call to hang up. `why_not` is asked before a step that
        comes late.
        """
        ...

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """Send a hang-up to a screen that was sent a logout, and waits for a dead call."""
        ...

    def pause(self, pause: AgentPause) -> Outcome:
        """Send the screen a pause, so that VICIdial sends it no more calls."""
        ...

    def resume(self, action: AgentPause | Arrival) -> Outcome:
        """Send the screen a resume, to take a pause back or to have an agent who was moved wait for calls again."""
        ...

    def tell(self, arrival: Arrival) -> Outcome:
        """Show the agent the words of `arrival.notice` on their screen."""
        ...

    def call(self, arrival: Arrival) -> Outcome:
        """Call the agent's phone into the room of their session again."""
        ...

    def missing_rights(self, dead_call_status: str, *, tells: bool = False) -> str | None:
        """Try each function on a session that does not exist; return the missing right, None: none is missing."""
        ...


class Interventions(Protocol):
    """Changes VICIdial's own tables, for what a screen cannot do."""

    def fence(self, fence: Fence, *, first: bool) -> Outcome:
        """Close a dialer to new logins, or open it again; `first`: no attempt can have been made before."""
        ...

    def restore_screen(self, restore: ScreenRestore) -> Outcome:
        """Put the session of a screen back, so that VICIdial knows it again."""
        ...

    def end_session(self, relogin: Relogin) -> Outcome:
        """End a session whose screen does not react."""
        ...


class Actuators(NamedTuple):
    """The ports by which a cluster's actions are carried out, and their settings."""

    reader: SessionReader
    control: AgentControl
    interventions: Interventions
    dead_call_status: str
    """Status for a call that died with its dialer; empty: the agent disposes it."""
    per_second: float
    """Most logouts to send in a second."""
