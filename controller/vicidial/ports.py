"""What an executor needs of VICIdial: reading sessions, telling screens, changing tables."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from controller.core.actions import Outcome, SessionRow
from messages.records import AgentPause, Fence, Relogin


class VicidialError(Exception):
    """VICIdial's database could not be asked; `str()` is one line that says why."""


class SessionReader(Protocol):
    """Reads rows of `vicidial_live_agents`."""

    def sessions(self, user: str) -> Sequence[SessionRow]:
        """Return every row of a user.

        Raises:
            VicidialError: it is not known.
        """
        ...


class AgentControl(Protocol):
    """A way of telling an agent's screen to log out, to pause and to resume."""

    names_user: bool
    """It names a user and not a session: it would end every session of theirs."""

    def log_out(self, relogin: Relogin, hang_up_as: str | None) -> Outcome:
        """Tell the screen to log out; `hang_up_as`: it believes to be in a call, which is to be disposed as this.

        Empty: the agent disposes it; None: there is no call to hang up.
        """
        ...

    def hang_up(self, relogin: Relogin, hang_up_as: str) -> Outcome:
        """Tell a screen that was told to log out, and waits for a dead call, that this call is over."""
        ...

    def pause(self, pause: AgentPause) -> Outcome:
        """Tell the screen to pause, so that no more calls are sent to it."""
        ...

    def resume(self, pause: AgentPause) -> Outcome:
        """Take the pause back."""
        ...

    def missing_rights(self, dead_call_status: str) -> str | None:
        """Try on a session that does not exist what the account may do; return what is missing, None: nothing."""
        ...


class Interventions(Protocol):
    """Changes VICIdial's own tables where telling a screen is not enough."""

    def fence(self, fence: Fence, *, first: bool) -> Outcome:
        """Close a dialer to new logins, or open it again; `first`: no process can have tried this before."""
        ...

    def end_session(self, relogin: Relogin) -> Outcome:
        """End a session whose screen does not react."""
        ...


class Actuators(NamedTuple):
    """What a cluster's actions are carried out with."""

    reader: SessionReader
    control: AgentControl
    interventions: Interventions
    dead_call_status: str
    """The status that a call gets which died with its dialer; empty: the agent disposes it."""
    per_second: float
    """How many screens are told to log out at most."""
