"""A call center at work, real processes and servers, and one fault after the other: what breaks, what grows."""

import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pymysql

from simulator.agents import Habits
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.soak.growth import LEAST_SAMPLES, Sample, trends
from tests.soak.judging import Trouble, Why, told_twice, wrongly_offered, wrongly_told
from tests.soak.plan import MOMENT, Planned, draw
from tests.support.cable import Cable
from tests.support.logout_notes import note_orders, tellings
from tests.support.processes import ACT, CLUSTER, Process, Site, grants, site
from tests.support.shift import Shift, decides, shift

PLAN = ClusterPlan(dialers=6, agents=36, remote_agents=0)
BUSY = Habits(
    arrival=(0, 2),
    talking=(4, 20),
    wrapping=(1, 3),
    pausing=(2, 8),
    session=(10_000_000, 10_000_000),
    relogin=(0.3, 0.8),
)
"""Everybody comes in at once and stays, calls are short, and a screen that was told to leave is back in a second."""
SAMPLE_SECONDS = 5.0
WELL_SECONDS = 90.0
"""So long after a fault is over all must be well again."""
AILS = {
    "a dialer dies": Why.DEAD,
    "half the fleet dies": Why.DEAD,
    "a heartbeat stands still": Why.STALLED,
    "a dialer is switched off": Why.OFF,
}
STEP_SECONDS = 0.2


class Soak:
    """One soak under way."""

    def __init__(self, at: Shift, database: Database, broker: Broker, cable: Cable, replica: Process) -> None:
        self._at = at
        self._database = database
        self._broker = broker
        self._cable = cable
        self._replica = replica
        self._standby = at.start("collect")
        self._collectors = [at.collector, self._standby]
        self._samples: dict[str, list[Sample]] = {}
        self._worked: set[int] = set()
        """Processes that have led or owned."""
        self._stop = threading.Event()
        self._warn_once: list[Trouble] = []
        self._ours_until = time.time()
        """When the latest fault of our own was over; infinite while there is one."""
        self._judged = 0
        """So many orders to log out were judged."""
        self._twice = 0
        """So many of them were found to be a second one."""
        self.broken: list[str] = []
        self.faults = 0
        self.moved = 0

    def go_on(self, seconds: float, dice: random.Random, say: Callable[[str], None]) -> None:
        """Bring one fault after the other, until the time is up."""
        watch = threading.Thread(target=self._watch, name="watch", daemon=True)
        watch.start()
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < seconds and not self._stop.is_set():
                planned = draw(dice, passed / seconds)
                what = ", and then ".join(filter(None, (planned.own, planned.dialer)))
                self._wait(min(planned.pause_seconds, seconds / 10))
                at = time.monotonic()
                moved, wrong = self.bring(planned, dice)
                self.faults += sum(map(bool, (planned.own, planned.dialer)))
                self.broken += [f"{what}: {each}" for each in wrong]
                verdict = "; ".join(wrong) or "well again"
                say(
                    f"{passed / 60:5.1f} min  {what}: {moved} told to log out, {time.monotonic() - at:.0f} s, {verdict}"
                )
        finally:
            self._stop.set()
            watch.join()
        self.broken += self._judge()[1] + self._growth(say)

    def stop(self) -> None:
        """End early."""
        self._stop.set()

    def bring(self, planned: Planned, dice: random.Random) -> tuple[int, list[str]]:
        """Bring faults, wait until all is well again; give how many were moved, and what was wrong."""
        victims = self._draw_victims(planned.dialer, dice)
        wrong: list[str] = []
        with ExitStack() as healing:
            if planned.own:
                healing.enter_context(self._own(planned.own, dice))
                self._wait(planned.lead_seconds)
            dialers = ExitStack()
            if planned.dialer:
                dialers.enter_context(self._dialers(planned.dialer, victims))
            if planned.own:
                self._wait(planned.lasts_seconds)
            healing.close()
            with dialers:
                if victims and not self._until(self._well, WELL_SECONDS):
                    wrong.append(f"not everybody left {', '.join(sorted(victims))}: {self._how()}")
        if not self._until(self._well, WELL_SECONDS):
            wrong.append(f"not well again within {WELL_SECONDS:.0f} s: {self._how()}")
        moved, unjust = self._judge()
        return moved, wrong + unjust

    def _judge(self) -> tuple[int, list[str]]:
        """Judge who was told to log out since the last time, also between two faults; give how many."""
        told = tellings(self._at.site)
        new, self._judged = told[self._judged :], len(told)
        wrong = [why for each in new if (why := wrongly_told(each, self._warn_once))]
        twice = told_twice(told, self._warn_once, self._at.own_choices)
        wrong += twice[self._twice :]
        self._twice = len(twice)
        self.moved += len(new)
        return len(new), wrong

    # --- faults -------------------------------------------------------------------------------------------------

    def _draw_victims(self, dialer: str, dice: random.Random) -> frozenset[str]:
        if not dialer:
            return frozenset()
        count = len(PLAN.dialer_plans) // 2 + 1 if dialer == "half the fleet dies" else 1
        drawn = [each.server_ip for each in dice.sample(PLAN.dialer_plans, len(PLAN.dialer_plans))]
        # a dialer that is just back has few agents, and nothing could go wrong where nobody is
        drawn.sort(key=lambda server_ip: not self._at.cluster.agents_on(server_ip))
        return frozenset(drawn[:count])

    @contextmanager
    def _dialers(self, what: str, victims: frozenset[str]) -> Iterator[None]:
        cluster, why = self._at.cluster, AILS[what]
        fail, heal = {
            Why.DEAD: (cluster.kill, cluster.bring_back),
            Why.STALLED: (cluster.stall, cluster.unstall),
            Why.OFF: (cluster.switch_off, cluster.switch_on),
        }[why]
        braked_until = float("inf") if len(victims) > 1 else 0.0
        begun = [Trouble(each, why, time.time(), braked_until=braked_until) for each in sorted(victims)]
        self._warn_once += begun
        for each in begun:
            fail(each.server_ip)
        if what == "half the fleet dies":
            # while the brake holds nobody is moved; it lets go once less than half of the fleet is gone
            self._wait(12)
            stays, *others = begun
            for each in others:
                heal(each.server_ip)
                each.ended = time.time()
            stays.braked_until = time.time()
        try:
            yield
        finally:
            for each in begun:
                if each.ended is None:
                    heal(each.server_ip)
                    each.ended = time.time()

    @contextmanager
    def _own(self, what: str, dice: random.Random) -> Iterator[None]:
        self._ours_until = float("inf")
        faults: dict[str, Callable[[random.Random], object]] = {
            "the owner is killed": self._owner_killed,
            "the owner stands still": self._owner_stopped,
            "the collector is killed": self._collector_killed,
            "the collector stands still": self._collector_stopped,
            "the broker is killed": self._broker_killed,
            "the network to the database is cut": self._network_cut,
            "the database restarts": self._database_restarted,
            "no heartbeat can be written": self._no_heartbeats,
            "a clock is wrong": self._clock_wrong,
            MOMENT: self._heartbeat_paused,
        }
        heal = faults[what](dice)
        try:
            yield
        finally:
            assert callable(heal)
            heal()
            self._ours_until = time.time()

    def _owner_killed(self, _: random.Random) -> Callable[[], None]:
        owner = self._at.owner
        owner.close()
        self._at.controllers.remove(owner)
        return lambda: self._at.controllers.append(self._at.start("control"))

    def _owner_stopped(self, _: random.Random) -> Callable[[], None]:
        owner = self._at.owner
        owner.signal(signal.SIGSTOP)
        self._at.controllers.remove(owner)

        def heal() -> None:
            owner.signal(signal.SIGCONT)
            self._at.controllers.append(owner)

        return heal

    def _leader(self) -> Process:
        found = [each for each in self._collectors if _leads(each)]
        return found[0] if found else self._collectors[0]

    def _collector_killed(self, _: random.Random) -> Callable[[], None]:
        leader = self._leader()
        leader.close()
        self._collectors.remove(leader)
        return lambda: self._collectors.append(self._at.start("collect"))

    def _collector_stopped(self, _: random.Random) -> Callable[[], None]:
        leader = self._leader()
        leader.signal(signal.SIGSTOP)
        return lambda: leader.signal(signal.SIGCONT)

    def _broker_killed(self, _: random.Random) -> Callable[[], None]:
        self._broker.kill()
        return self._broker.start

    def _network_cut(self, _: random.Random) -> Callable[[], None]:
        self._cable.cut()
        return self._cable.mend

    def _database_restarted(self, _: random.Random) -> Callable[[], None]:
        self._database.restart()
        for each in PLAN.dialer_plans:
            self._at.cluster.restart_updater(each.server_ip)
        return lambda: None

    def _no_heartbeats(self, _: random.Random) -> Callable[[], None]:
        connection = self._at.site.connect()
        connection.cursor().execute("LOCK TABLES server_updater READ")
        return connection.close

    def _clock_wrong(self, dice: random.Random) -> Callable[[], None]:
        server_ip = dice.choice(PLAN.dialer_plans).server_ip
        self._at.cluster.skew(server_ip, dice.choice((-300, 300)))
        return lambda: self._at.cluster.skew(server_ip, 0)

    def _heartbeat_paused(self, dice: random.Random) -> Callable[[], None]:
        server_ip = dice.choice(PLAN.dialer_plans).server_ip
        self._at.cluster.stall(server_ip)
        return lambda: self._at.cluster.unstall(server_ip)

    # --- how things are -----------------------------------------------------------------------------------------

    @property
    def _ailing(self) -> set[str]:
        """The dialers in trouble."""
        return {each.server_ip for each in self._warn_once if each.ended is None}

    @property
    def _lost(self) -> set[str]:
        """The dialers that agents must leave."""
        return {each.server_ip for each in self._warn_once if each.ended is None and each.why is not Why.STALLED}

    def _well(self) -> bool:
        """Return True if it is known which dialers are lost, and everybody is at work on another one."""
        try:
            ranking = self._replica.client.ranking()
            decided = any(decides(each) for each in self._at.controllers)
        except httpx.HTTPError:
            return False
        if ranking is None or ranking.stale or ranking.brake or not decided:
            return False
        lost, ailing = self._lost, self._ailing
        fit = all(each.state in {"up", "recovering"} for each in ranking.dialers if each.server_ip not in ailing)
        seen = all(each.state in {"down", "draining"} for each in ranking.dialers if each.server_ip in lost)
        stranded = any(self._at.cluster.agents_on(each) for each in lost)
        return fit and seen and not stranded and self._at.cluster.logged_in == PLAN.agents

    def _how(self) -> str:
        """Show how things are, in one line."""
        ranking = None
        with suppress(httpx.HTTPError):
            ranking = self._replica.client.ranking()
        states = (
            "no ranking" if ranking is None else ", ".join(f"{each.server_ip} {each.state}" for each in ranking.dialers)
        )
        brake = "" if ranking is None else f", brake {ranking.brake!r}, {'stale' if ranking.stale else 'fresh'}"
        return f"{self._at.cluster.logged_in} of {PLAN.agents} at work; {states}{brake}"

    # --- watching -----------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            self._look_now_and_then()
        except Exception as error:  # noqa: BLE001 # what nobody watched was not seen to hold
            self.broken.append(f"nobody watches any more: {error!r}")

    def _look_now_and_then(self) -> None:
        """Check what processes use, and whether a dead dialer is offered."""
        due = time.monotonic()
        said: set[str] = set()
        while not self._stop.wait(STEP_SECONDS):
            with suppress(httpx.HTTPError):
                self._look_at_offers(said)
            if time.monotonic() >= due:
                due += SAMPLE_SECONDS
                self._sample()

    def _look_at_offers(self, said: set[str]) -> None:
        if not self._ailing:
            return
        for process in (self._replica, *self._at.controllers):
            ranking = process.client.ranking() if process is self._replica or decides(process) else None
            if ranking is None or ranking.stale:
                continue
            offered = [each.server_ip for each in ranking.dialers if each.rank is not None]
            now = time.time()
            for server_ip, late in wrongly_offered(offered, self._warn_once, now, min(now, self._ours_until)).items():
                if (mark := f"{server_ip}, trouble {len(self._warn_once)}") not in said:
                    said.add(mark)
                    self.broken.append(f"{server_ip} is offered {late:.1f} s after it went")

    def _sample(self) -> None:
        """Note what each process uses, apart for what it does: one that decides needs more than one that waits."""
        for process in list(self._collectors):
            self._note("collector", process, "hotdesk_collector_leading")
        for process in list(self._at.controllers):
            self._note("controller", process, "hotdesk_cluster_owned")
        self._note("replica", self._replica, "hotdesk_cluster_owned")

    def _note(self, role: str, process: Process, working: str) -> None:
        with suppress(OSError, httpx.HTTPError):
            works = process.client.metric(working, cluster=CLUSTER) == 1
            if works:
                self._worked.add(process.pid)
            elif process.pid in self._worked:
                return  # what it had for that it may keep
            files = sum(1 for _ in Path(f"/proc/{process.pid}/fd").iterdir())
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            lag = process.client.metric("hotdesk_consumer_lag_records")
            sample = Sample(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, files, lag)
            self._samples.setdefault(f"{role} {process.pid}{', at work' if works else ''}", []).append(sample)

    def _growth(self, say: Callable[[str], None]) -> list[str]:
        grown = []
        for name, samples in sorted(self._samples.items()):
            found = trends(samples)
            if found:
                figures = ", ".join(f"{each.what} {each.early:.0f} then {each.late:.0f}" for each in found)
                say(f"{name}, {len(samples) * SAMPLE_SECONDS / 60:.0f} min: {figures}")
            grown += [
                f"{name}: {each.what} grew from {each.early:.0f} to {each.late:.0f}" for each in found if not each.flat
            ]
        if not any(len(samples) >= LEAST_SAMPLES for samples in self._samples.values()):
            say(f"no process lived for {LEAST_SAMPLES * SAMPLE_SECONDS / 60:.0f} min: nothing is said about growth")
        return grown

    def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with suppress(pymysql.MySQLError):
                if condition():
                    return True
            if self._stop.wait(STEP_SECONDS):
                return True  # it is being ended: nothing is said about what was not waited for
        return False

    def _wait(self, seconds: float) -> None:
        self._stop.wait(seconds)


def _leads(collector: Process) -> bool:
    try:
        return collector.client.metric("hotdesk_collector_leading", cluster=CLUSTER) == 1
    except httpx.HTTPError:
        return False


@contextmanager
def soaking(kafka_home: Path) -> Iterator[Soak]:
    """Set everything up; at the end it is all gone."""
    with tempfile.TemporaryDirectory(prefix="hotdesk-soak-") as name, ExitStack() as stack:
        folder = Path(name)
        database = stack.enter_context(Database(folder / "mariadb"))
        broker = stack.enter_context(Broker(kafka_home, folder / "kafka"))
        west: Site = stack.enter_context(site(database, PLAN))
        west.run(*grants(west, ACT))
        note_orders(west)
        cable = stack.enter_context(Cable(database.port))
        at = stack.enter_context(shift(folder, broker, west, habits=BUSY, port=str(cable.port)))
        yield Soak(at, database, broker, cable, at.start("serve"))
