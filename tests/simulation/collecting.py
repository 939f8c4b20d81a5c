"""Collectors as the simulation has them: the real leadership and observer, and the database that they meet."""

from collections import deque
from collections.abc import Sequence
from random import Random

from collectors.leadership import USELESS_SECONDS, Leadership, Step, Term
from collectors.leading import DEFAULT_PACE, Due, entry
from collectors.observer import Observer, Reading
from messages.records import Outage
from messages.topics import Topic
from stream.entries import aged, entry_of, queued
from stream.log import Entry, LogError, LogUnavailableError
from tests.simulation.probing import SipProbes
from tests.simulation.processes import Sees, Stoppable
from tests.simulation.wire import Line, Tail, Wire
from tests.simulation.world import World

LOCK_SECONDS = 3.0
"""After this silence the database hangs up on a collector, and the lock is free."""
PACE = DEFAULT_PACE
BETWEEN_POLLS = (PACE.flags - 0.01, PACE.flags + 0.02)
BETWEEN_STEPS = (0.001, 0.02)
"""From one step towards a term to the next."""
APPEND, SLOW_APPEND = (0.001, 0.02), (0.5, 4.0)
"""How long an append takes: from, to."""


class DatabaseError(Exception):
    """The database does not answer, or has hung up."""


class Database:
    """The cluster's database as collectors meet it: whoever has the lock keeps it as long as its connection lasts."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.holder: Connection | None = None

    def hang_up(self) -> None:
        """Hang up on whoever has the lock, who hears of it when they ask something."""
        if self.holder is not None:
            self.holder.heard_at -= LOCK_SECONDS

    def connect(self) -> "Connection":
        """Connect.

        Raises:
            DatabaseError: it does not answer.
        """
        if not self._world.database_up:
            raise DatabaseError("it does not answer")
        return Connection(self, self._world)


class Connection:
    """A connection to the database. After an error it is of no more use."""

    def __init__(self, database: Database, world: World) -> None:
        self._database = database
        self._world = world
        self.heard_at = world.clock.now

    @property
    def is_hung_up(self) -> bool:
        """Return True if the server has hung up on a client that fell silent."""
        return self._world.clock.now - self.heard_at >= LOCK_SECONDS

    def take_lock(self) -> bool:
        """As `VicidialDatabase.take_lock`."""
        self._ask()
        holder = self._database.holder
        if holder is None or holder.is_hung_up:
            self._database.holder = self
        return self.holds_lock()

    def holds_lock(self) -> bool:
        """As `VicidialDatabase.holds_lock`."""
        self._ask()
        return self._database.holder is self

    def read(self, due: Due, observer: Observer, *, probes: bool) -> Reading:
        """As `VicidialDatabase.read`, with what the probes tell."""
        self._ask()
        return self._world.reading(
            agents=due.agents,
            catalogue=due.catalogue,
            probes=probes,
            work=observer.work_to_read,
            rooms=observer.rooms_to_read,
            listed=observer.channels_to_list,
        )

    def close(self) -> None:
        """Hang up: with the connection goes the lock."""
        if self._database.holder is self:
            self._database.holder = None

    def _ask(self) -> None:
        if not self._world.database_up or self.is_hung_up:
            raise DatabaseError("it does not answer")
        self.heard_at = self._world.clock.now


class Collector(Stoppable):
    """A collector: the real leadership and observer, and an outbox of the simulation's."""

    def __init__(  # noqa: PLR0913 # what it connects, each once
        self,
        name: str,
        *,
        cluster: str,
        world: World,
        wire: Wire,
        database: Database,
        draw: Random,
        seen: Sees,
        probes: bool,
    ) -> None:
        super().__init__(name, world.clock)
        self._called = name
        self._cluster = cluster
        self._world = world
        self.line = Line(wire)
        self._database = database
        self._draw = draw
        self._seen = seen
        self._probes = probes
        self.wall_ahead = 0.0
        self._begin()

    def _begin(self) -> None:
        self._connection: Connection | None = None
        self._observer: Observer | None = None
        self._outbox: deque[Entry] = deque()
        self._append_again_at = 0.0
        self._failing = False
        self._held_up_since: float | None = None
        self._again = False
        paced = self._probes and self._world.sip_is_paced
        self._sip = SipProbes(self._world, self._draw, lambda: self.awake_for) if paced else None
        self._begin_anew()
        self.every(lambda: self._pause, self._work)

    def _begin_anew(self) -> None:
        """Be on the way to the next term, as a process is that has just started."""
        self._leadership = Leadership(self._cluster, self.name)
        self._tail = Tail(self.line, [Topic.OBSERVATIONS])
        self._lost: LogError | None = None
        self._pause = self._between_polls()

    def _between_polls(self) -> float:
        return self._draw.uniform(*(self.clock.calm.polls if self.clock.calm else BETWEEN_POLLS))

    @property
    def leads(self) -> bool:
        """Return True if it polls."""
        return self._observer is not None

    def start(self) -> None:
        """Start anew after a kill: nothing of before is left."""
        self.dead, self.life = False, self.life + 1
        # as a process does, which is another one than before
        self.name = f"{self._called}-{self.life}"
        self._begin()

    def kill(self) -> None:
        """End at once."""
        self.dead = True
        if self._connection is not None:
            self._connection.close()

    # --- what `collectors.collector` does in a thread ----------------------------------------------------------------

    def _work(self) -> None:
        self._pause = self._between_polls()
        try:
            self._take_step()
        except DatabaseError as error:
            self._note_outage(str(error))
            self._hang_up()
        except LogError:
            self._hang_up()
        self._flush()

    def _take_step(self) -> None:
        now, leadership = self.awake_for, self._leadership
        if self._connection is None:
            self._follow(leadership)
            if leadership.next is Step.FOLLOW:
                return
            self._connection = self._database.connect()
        connection = self._connection
        match leadership.next:
            case Step.TAKE_LOCK:
                if not connection.take_lock():
                    self._follow(leadership)
                    return
                leadership.lock_taken()
            case Step.CLAIM:
                self._append_claim(entry_of(leadership.claim(now)))
            case Step.READ_BACK:
                self._follow(leadership)
            case Step.LOOK_AT_LOCK:
                leadership.look_at_lock(now, self._wall_ms, held=connection.holds_lock())
            case Step.LEAD if leadership.term is not None:
                self._poll(leadership.term, connection)
                return
        self._pause = self._draw.uniform(*BETWEEN_STEPS)

    def _follow(self, leadership: Leadership) -> None:
        leadership.read(self._tail.poll(), self.awake_for, caught_up=self._tail.caught_up())
        error, self._lost = self._lost, None
        if error is not None:
            raise error
        if leadership.is_overdue(self.awake_for):
            raise LogUnavailableError("the claim did not come back")

    @property
    def _wall_ms(self) -> int:
        """The wall clock by which its term begins, which may be wrong; windows are held against the right one."""
        return round((self.clock.wall + self.wall_ahead) * 1000)

    def _append_claim(self, claim: Entry) -> None:
        """Send a claim to the log. It gets there after a while, whatever becomes of this process meanwhile."""
        way_there = self._leadership

        def arrive() -> None:
            try:
                self.line.append([claim])
            except LogError as error:
                if self._leadership is way_there:
                    self._lost = error

        self.clock.after(self._draw.uniform(*(SLOW_APPEND if self.line.is_slow else APPEND)), arrive)

    def _poll(self, term: Term, connection: Connection) -> None:
        now = self.awake_for
        if self._observer is None:
            self._observer, self._polls = Observer(self._cluster, self.name, term.epoch), 0
            if self._sip is not None:
                self._sip.begin_term()
            self._since_ms = term.began_ms
            self._world.note(f"collector {self.name} leads, epoch {term.epoch}")
        number, self._polls = self._polls, self._polls + 1
        due = PACE.due(number, again=self._again or PACE.is_everything_due(number))
        self._again = False
        if due.everything:
            self._observer.publish_everything_again()
        reading = connection.read(due, self._observer, probes=self._probes and number > 0)
        if self._sip is not None:
            reading = reading._replace(probes=self._sip.add_to(reading.probes))
        self._since_ms = term.at_ms(now)
        self._observer.wall_ahead_ms = round(self.clock.wall * 1000) - self._since_ms
        self._queue([entry(each) for each in self._observer.observe(self._since_ms, reading)])
        stamp = (self._observer.epoch, self._observer.sequence)
        self._seen.polls(self.name, stamp, holds_lock=self._database.holder is connection)
        if self._sip is not None:
            self._sip.doubt(self._observer.in_doubt, reading.probes)

    def _note_outage(self, why: str) -> None:
        now, leadership = self.awake_for, self._leadership
        if self._observer is not None:
            epoch, sequence, since_ms = self._observer.epoch, self._observer.sequence + 1, self._since_ms
        elif leadership.another_polls(now):
            return
        else:
            epoch, sequence = leadership.epoch, leadership.sequence + 1
            since_ms = leadership.log_time_ms(self._wall_ms)
        outage = Outage(
            cluster=self._cluster,
            epoch=epoch,
            sequence=sequence,
            unreachable_since_ms=since_ms,
            collector=self.name,
            why=why,
        )
        self._queue([entry_of(outage)])

    def _hang_up(self) -> None:
        """Let go of the connection; a term that ends with it is over."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._leadership.lock_lost()
        if self._observer is not None and self._leadership.term is None:
            self._observer = None
            self._begin_anew()

    def _queue(self, entries: Sequence[Entry]) -> None:
        self._outbox.extend(queued(each, self.awake_for) for each in entries)

    def _flush(self) -> None:
        if not self._outbox or self.clock.now < self._append_again_at:
            return
        if self.line.is_slow:
            self._append_again_at = self.clock.now + self._draw.uniform(*SLOW_APPEND)
        try:
            self.line.append([aged(each, self.awake_for) for each in self._outbox])
        except LogError:
            self._failing = True
            self._held_up_since = self.awake_for if self._held_up_since is None else self._held_up_since
            if self.leads and self.awake_for - self._held_up_since > USELESS_SECONDS:
                self._hang_up()  # another collector may reach the log
        else:
            self._outbox.clear()
            self._held_up_since = None
            # what was stored in part may have come late, and was dropped then
            self._again, self._failing = self._again or self._failing, False
