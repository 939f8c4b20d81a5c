"""The parts of a process: they begin together, apply new settings, and end together."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from controller.api.tokens import Tokens
from hotdesk.wanted import Wanted
from stream.log import Log
from stream.outbox import Outbox


class Shared(NamedTuple):
    """The objects that the parts of one process share."""

    name: str
    """Of this process, as records name it."""
    url: str
    """Where its API answers."""
    log: Log
    outbox: Outbox
    tokens: Tokens
    registry: CollectorRegistry
    loop: asyncio.AbstractEventLoop
    """Where the API answers and the clusters' state lives; it runs from the start of the API to its end."""


class Part:
    """One part of a process, whole from its constructor on.

    A role that a process does not have is a part that is not there. All is called by the thread that entered the
    service, but for `doubts`, which the event loop asks.
    """

    def start(self) -> None:
        """Begin. Called once."""

    def apply(self, wanted: Wanted) -> None:
        """Apply settings that were read again; what has not changed goes on undisturbed."""

    def stop(self) -> None:
        """Ask it to end, and wait for nothing. Called also where it never began."""

    def join(self, deadline: float) -> None:
        """Wait for its end after `stop`, until a moment of the monotonic clock."""

    def doubts(self) -> Sequence[str]:
        """Return what keeps the process from being of use now."""
        return ()

    def ended(self) -> Sequence[str]:
        """Return the names of threads that ended though nobody asked them to."""
        return ()
