"""The rest of a poll, besides flags and heartbeats, read statement by statement; what has not changed is left out.

A statement that gives None was left out or failed: what was last read of its table still counts.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from collectors.catalogue import CatalogueRows
from collectors.observer import RestRows
from collectors.phones_in_rooms import Room
from collectors.vicidial.rows import Row
from messages.records import ServerIp

LOGINS_BACK = 20_000
"""Rows of the log of logins to read at first: some days of a large cluster."""
EMPTY_READINGS = 10
"""After so many readings without a login it is looked where the log ends: people empty it, and then it begins at 1."""


class Run(Protocol):
    """Runs a statement by its name, and returns its rows; None: not now."""

    def __call__(self, name: str, asked: Sequence[object] = (), *, after: int = 0) -> Sequence[Row] | None: ...


class Wanted(NamedTuple):
    """The parts that a poll reads besides flags and heartbeats."""

    agents: bool = False
    """Sessions, logins and rooms."""
    screens: bool = False
    """Which screens are silent or lost too, together with the agents."""
    catalogue: bool = False
    """Settings and campaigns, and phones and aliases if their checksum has changed."""
    everything: bool = False
    """The whole catalogue, whatever the checksums."""
    work: Sequence[ServerIp] = ()
    """Dialers whose work to read."""
    rooms: Sequence[Room] = ()
    """Rooms in which to look for somebody, together with the agents; alone they are nothing to read."""

    def also(self, other: "Wanted") -> "Wanted":
        """Return what both want; of the dialers and rooms, the other's."""
        return other._replace(
            agents=self.agents or other.agents,
            screens=self.screens or other.screens,
            catalogue=self.catalogue or other.catalogue,
            everything=self.everything or other.everything,
        )

    def __bool__(self) -> bool:
        """Return True if anything is wanted."""
        return self.agents or self.catalogue or bool(self.work)


class Rest:
    """The statements of one connection after the other; it belongs to one thread."""

    def __init__(self) -> None:
        self._sums: dict[str, Sequence[Row]] = {}
        self._after_login: int | None = None
        """The last row read of the log of logins; None: none yet."""
        self._empty_readings = 0

    def read(self, run: Run, wanted: Wanted, missing_columns: tuple[str, ...]) -> RestRows:
        """Read what is wanted, with a constant number of statements."""
        work = run("work", wanted.work) if wanted.work else None
        read = self._agents(run, wanted) if wanted.agents else RestRows()
        catalogue = self._catalogue(run, missing_columns, everything=wanted.everything) if wanted.catalogue else None
        return read._replace(work=work, worked_of=tuple(wanted.work), catalogue=catalogue)

    def _agents(self, run: Run, wanted: Wanted) -> RestRows:
        agents = run("agents")
        return RestRows(
            agents=agents,
            # what is read of this log is read once, and belongs to sessions
            logins=() if agents is None else self._logins(run),
            conferences=run("conferences"),
            confbridges=run("confbridges"),
            silent_screens=run("silent_screens") if wanted.screens else None,
            lost_screens=run("lost_screens") if wanted.screens else None,
            channels=run("channels", [tuple(each) for each in wanted.rooms]) if wanted.rooms else None,
            looked_at=tuple(wanted.rooms),
        )

    def _logins(self, run: Run) -> Sequence[Row]:
        """Read the logins since the last time; the log is long, and read by its key."""
        if self._after_login is None or self._empty_readings >= EMPTY_READINGS:
            self._empty_readings = 0
            self._find_end(run)
        if self._after_login is None:
            return ()
        read = run("logins", after=self._after_login)
        if read:
            self._after_login = int(read[-1][0] or 0)
        self._empty_readings = 0 if read else self._empty_readings + 1
        return read or ()

    def _find_end(self, run: Run) -> None:
        """Begin to read the log of logins, or begin anew where it ends before what was read."""
        end = run("logins_end")
        if end is None:
            return
        last = int((end[0][0] if end else None) or 0)
        if self._after_login is None or last < self._after_login:
            self._after_login = max(0, last - LOGINS_BACK)

    def _catalogue(self, run: Run, missing_columns: tuple[str, ...], *, everything: bool) -> CatalogueRows:
        phones_sum, aliases_sum = run("phones_sum"), run("aliases_sum")
        phones = run("phones") if everything or self._has_changed("phones", phones_sum) else None
        # The oddities of an alias depend on the phones that it lists.
        reads_aliases = phones is not None or self._has_changed("aliases", aliases_sum)
        read = CatalogueRows(
            phones=phones,
            secrets=run("secrets") if phones is not None else None,
            aliases=run("aliases") if reads_aliases else None,
            campaigns=run("campaigns"),
            settings=run("settings"),
            weights=run("weights"),
            missing_columns=missing_columns,
        )
        # of a table that could not be read, the next sum is held to have changed
        for name, rows, its_sum in (("phones", phones, phones_sum), ("aliases", read.aliases, aliases_sum)):
            if rows is not None and its_sum is not None:
                self._sums[name] = its_sum
        return read

    def _has_changed(self, name: str, its_sum: Sequence[Row] | None) -> bool:
        return its_sum is not None and its_sum != self._sums.get(name)
