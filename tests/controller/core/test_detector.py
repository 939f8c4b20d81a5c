"""The failure detector: every line of the tables in docs/guide/failover.md, poll by poll."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from controller.core.detector import judge_fleet
from controller.core.orders import Orders
from controller.core.policy import MaintenanceWindow, Policy
from messages.codes import ReasonCode
from messages.records import (
    DialerHealth,
    DialerReading,
    DialerState,
    Drain,
    FleetHealth,
    Heartbeat,
    Poll,
    ProbeResult,
    Unbrake,
)
from messages.words import reason
from tests.support.builders import CLUSTER, NOW_MS, ONE, THREE, TWO

TICK_MS = 500
FOUR = "10.0.0.4"
ALIVE, MUTE, REFUSED, CUT, DENIED = (
    ProbeResult.ALIVE,
    ProbeResult.MUTE,
    ProbeResult.REFUSED,
    ProbeResult.UNREACHABLE,
    ProbeResult.DENIED,
)


@dataclass
class Sim:
    """One dialer as the tests turn it."""

    beats: bool = True
    steps_seconds: float | None = None
    """How often the heartbeat advances; None: at each poll."""
    row: bool = True
    started: str = ""
    active: bool = True
    agent_logins: bool = True
    probes: dict[str, ProbeResult] = field(default_factory=dict)
    progressed_at_ms: int | None = None
    watched_since_ms: int | None = None


class Fleet:
    """A cluster whose time the test turns on, half a second a poll."""

    def __init__(self, *server_ips: str, probes: Mapping[str, ProbeResult] | None = None) -> None:
        self.sims = {server_ip: Sim(probes=dict(probes or {})) for server_ip in server_ips}
        self.orders = Orders()
        self.policy = Policy()
        self.health = FleetHealth()
        self.now_ms = NOW_MS
        self.epoch = 1

    def __getitem__(self, server_ip: str) -> Sim:
        return self.sims[server_ip]

    def poll(self) -> None:
        """Judge one more poll."""
        self.now_ms += TICK_MS
        dialers = tuple(self._reading(server_ip, sim) for server_ip, sim in self.sims.items())
        poll = Poll(
            cluster=CLUSTER,
            epoch=self.epoch,
            sequence=1,
            observed_at_ms=self.now_ms,
            full_sequence=None,
            collector="c",
            dialers=dialers,
        )
        self.health = judge_fleet(self.health, poll, self.policy, self.orders)

    def run(self, seconds: float) -> "Fleet":
        """Judge the polls of so many seconds."""
        for _ in range(round(seconds * 1000 / TICK_MS)):
            self.poll()
        return self

    def sleep(self, seconds: float) -> None:
        """Let time go by without polls, as when the collector is stopped; living dialers go on."""
        self.now_ms += round(seconds * 1000)

    def take_over(self) -> None:
        """Let another collector begin a new epoch: it has seen no heartbeat yet."""
        self.epoch += 1
        for sim in self.sims.values():
            sim.progressed_at_ms = sim.watched_since_ms = None

    def of(self, server_ip: str) -> DialerHealth:
        """Give how a dialer is judged."""
        return self.health.dialers[server_ip]

    def state(self, server_ip: str) -> str:
        """Give a dialer's state."""
        return self.of(server_ip).state.value

    def seconds_until(self, server_ip: str, state: str, at_most: float = 60) -> float:
        """Tell after how many seconds of polls a dialer is in a state."""
        for polls in range(round(at_most * 1000 / TICK_MS) + 1):
            if self.state(server_ip) == state:
                return polls * TICK_MS / 1000
            self.poll()
        raise AssertionError(f"{server_ip} is {self.state(server_ip)}, not {state}, after {at_most:g} s")

    def _reading(self, server_ip: str, sim: Sim) -> DialerReading:
        heartbeat = None
        if sim.row:
            if sim.watched_since_ms is None:
                sim.watched_since_ms = self.now_ms
            elif sim.beats and self.now_ms - (sim.progressed_at_ms or 0) >= (sim.steps_seconds or 0) * 1000:
                sim.progressed_at_ms = self.now_ms
            heartbeat = Heartbeat(
                progressed_at_ms=sim.progressed_at_ms, watched_since_ms=sim.watched_since_ms, age_seconds=0.5
            )
        return DialerReading(
            server_ip=server_ip,
            active=sim.active,
            agent_logins=sim.agent_logins,
            heartbeat=heartbeat,
            rooms=10,
            rooms_free=10,
            probes=sim.probes,
            started=sim.started,
        )


def healthy(*server_ips: str, **probes: ProbeResult) -> Fleet:
    """Give a fleet that has been up for ten seconds, with these probes on each dialer."""
    return Fleet(*server_ips, probes=probes).run(10)


# --- verdicts ---------------------------------------------------------------------------------------------------


def test_dialers_whose_heartbeat_advances_are_up_and_nothing_is_said_against_them() -> None:
    fleet = healthy(ONE, TWO)
    assert [(each.state.value, each.evidence) for each in fleet.health.dialers.values()] == [("up", "")] * 2
    assert fleet.health.brake is None


def test_without_a_probe_a_silent_dialer_is_suspect_after_2_5_s_and_down_after_75() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "suspect") == 2.5
    assert fleet.seconds_until(ONE, "down", 80) == 72.5
    assert fleet.of(ONE).evidence == "heartbeat stalled for 75.0 s, no probe"
    assert (fleet.of(ONE).confirmed, fleet.state(TWO)) == (False, "up")


def test_an_updater_that_is_started_again_within_a_minute_kills_no_dialer() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = False
    fleet.run(60)
    fleet[ONE].beats = True
    fleet.run(3)
    assert (fleet.state(ONE), fleet.of(ONE).deaths) == ("up", 0)


def test_a_suspect_dialer_must_beat_to_be_up_again() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].steps_seconds = 11
    fleet.run(20)
    assert fleet.state(ONE) == "suspect"
    fleet[ONE].steps_seconds = 1
    assert fleet.seconds_until(ONE, "up") <= 4


def test_a_hung_asterisk_without_a_probe_is_suspect_and_not_up_at_each_step() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].steps_seconds = 11
    fleet.seconds_until(ONE, "suspect")
    for _ in range(300):
        fleet.poll()
        assert fleet.state(ONE) == "suspect"


@pytest.mark.parametrize("answer", [MUTE, REFUSED, CUT])
def test_with_a_probe_that_fails_too_it_is_down_after_3(answer: ProbeResult) -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": answer}
    assert fleet.seconds_until(ONE, "down") == 3.0
    assert fleet.of(ONE).evidence == f"heartbeat stalled for 3.0 s, AMI {answer}"
    assert fleet.of(ONE).confirmed


def test_a_probe_that_lives_keeps_a_silent_dialer_from_ever_being_down() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].beats = False
    fleet.run(120)
    assert fleet.state(ONE) == "suspect"
    assert "perhaps only its updater has died" in fleet.of(ONE).evidence


@pytest.mark.parametrize("probes", [{"ami": MUTE, "sip": MUTE}, {"ami": MUTE}, {"sip": MUTE}])
def test_a_hung_asterisk_whose_heartbeat_steps_is_down_after_8(probes: dict[str, ProbeResult]) -> None:
    fleet = healthy(ONE, TWO, **dict.fromkeys(probes, ALIVE))
    fleet[ONE].probes, fleet[ONE].steps_seconds = probes, 2.4
    assert fleet.seconds_until(ONE, "suspect") == 3.0
    assert fleet.seconds_until(ONE, "down") == 5.5
    assert fleet.of(ONE).confirmed
    assert fleet.of(ONE).evidence.endswith("for 8.0 s, and its heartbeat steps")


@pytest.mark.parametrize(
    "answers", [{"ami": CUT, "sip": CUT}, {"sip": MUTE}, {"ami": MUTE, "sip": CUT}, {"ami": MUTE, "sip": MUTE}]
)
def test_what_may_be_our_own_path_makes_it_suspect_and_no_more(answers: dict[str, ProbeResult]) -> None:
    fleet = healthy(ONE, TWO, **dict.fromkeys(answers, ALIVE))
    fleet[ONE].probes = answers
    fleet.run(60)
    assert fleet.state(ONE) == "suspect"


def test_one_probe_that_lives_outvotes_one_that_fails() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE, sip=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED, "sip": ALIVE}
    fleet.run(60)
    assert fleet.state(ONE) == "up"


def test_one_lost_probe_is_nothing() -> None:
    fleet = healthy(ONE, TWO, sip=ALIVE)
    fleet[ONE].probes = {"sip": MUTE}
    fleet.run(2)
    fleet[ONE].probes = {"sip": ALIVE}
    assert fleet.state(ONE) == "up"


def test_a_probe_that_never_succeeded_has_no_vote() -> None:
    fleet = healthy(ONE, TWO, ami=REFUSED)
    fleet.run(60)
    assert fleet.state(ONE) == "up"
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_a_refused_password_is_no_vote() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].probes = {"ami": DENIED}
    fleet.run(60)
    assert fleet.state(ONE) == "up"


def test_probes_that_all_fail_are_blind() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {"ami": REFUSED}
    fleet.run(60)
    assert fleet.health.blind_since_ms is not None
    assert [fleet.state(each) for each in (ONE, TWO, THREE)] == ["up"] * 3
    fleet[ONE].beats = False
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_a_hung_dialer_stays_down_while_the_probes_are_blind() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].probes, fleet[ONE].steps_seconds = {"ami": MUTE}, 11
    fleet.seconds_until(ONE, "down")
    fleet[TWO].probes = {"ami": MUTE}
    fleet.run(20)
    assert (fleet.health.blind_since_ms is not None, fleet.state(ONE), fleet.state(TWO)) == (True, "down", "up")


def test_a_missing_row_is_unknown_and_leaves_everything_as_it_was() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].row = False
    fleet.run(60)
    assert (fleet.state(ONE), fleet.of(ONE).verdict.value) == ("up", "unknown")


def test_a_missing_row_and_a_probe_that_fails_for_8_s_is_down() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].row, fleet[ONE].probes = False, {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") == 8.5


def test_an_asterisk_that_started_again_is_down_until_it_beats_and_its_calls_are_gone() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for sim in fleet.sims.values():
        sim.started = "2026-11-26 08:00:00"
    fleet.run(1)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.run(1.5)
    fleet[ONE].started, fleet[ONE].probes = "2026-11-26 12:00:00", {"ami": ALIVE}
    assert fleet.seconds_until(ONE, "down") <= 4
    assert fleet.of(ONE).confirmed
    assert fleet.of(ONE).evidence.startswith("its Asterisk started again at 2026-11-26 12:00:00: every call")
    fleet[ONE].probes = {"ami": MUTE}  # for a moment, while it boots
    fleet.run(2)
    fleet[ONE].probes = {"ami": ALIVE}
    fleet.run(54)
    assert (fleet.of(ONE).verdict, fleet.of(ONE).interrupted) == (DialerState.DOWN, True)
    fleet[ONE].beats = True
    fleet.run(13)
    assert (fleet.state(ONE), fleet.of(ONE).interrupted_at_ms) == ("recovering", None)


def test_one_that_beats_again_soon_after_a_new_start_is_down_long_enough_to_move_its_agents() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].started = "2026-11-26 08:00:00"
    fleet.poll()
    fleet[ONE].started, fleet[ONE].beats = "2026-11-26 12:00:00", False
    fleet.seconds_until(ONE, "down")
    fleet[ONE].beats = True
    fleet.run(38)
    assert fleet.of(ONE).verdict is DialerState.DOWN
    assert fleet.seconds_until(ONE, "recovering") <= 15


def test_another_start_beside_a_heartbeat_that_beats_comes_from_another_asterisk() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].started = "2026-11-26 08:00:00"
    fleet.poll()
    fleet[ONE].started = "2026-11-26 12:00:00"
    for _ in range(60):
        fleet.poll()
        assert fleet.state(ONE) == "up"
    fleet[ONE].beats = False
    fleet.run(20)
    assert fleet.state(ONE) == "suspect"


@pytest.mark.parametrize("pace", ["in_doubt", "every_second"])
@pytest.mark.parametrize("answer", [MUTE, REFUSED, CUT])
def test_a_failure_that_a_beating_heartbeat_outlives_confirms_no_death_later(answer: ProbeResult, pace: str) -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    fleet[ONE].probes = {"sip": answer}
    fleet.run(3 if pace == "in_doubt" else 60)
    if pace == "in_doubt":  # its result is shown for three seconds
        fleet[ONE].probes = {}
        fleet.run(60)
    fleet[ONE].beats = False
    fleet.run(2)
    fleet[ONE].probes = {"sip": answer}
    for _ in range(90):
        fleet.poll()
        assert fleet.state(ONE) in {"up", "suspect"}
    fleet[ONE].beats, fleet[ONE].steps_seconds = True, 11  # the first step is no beat, and no proof either
    for _ in range(60):
        fleet.poll()
        assert fleet.state(ONE) == "suspect"


def test_a_mute_ami_beside_sip_and_a_beating_heartbeat_is_no_hang_when_sip_has_no_result() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE, sip=ALIVE)
    fleet[ONE].probes = {"ami": MUTE, "sip": ALIVE}
    fleet.run(100)
    fleet[ONE].probes = {"ami": MUTE}
    for _ in range(60):
        fleet.poll()
        assert fleet.state(ONE) in {"up", "suspect"}


def test_when_blind_probes_come_back_one_by_one_the_last_is_not_dead() -> None:
    fleet = healthy(ONE, TWO, THREE, FOUR, ami=ALIVE)
    for sim in fleet.sims.values():
        sim.probes = {"ami": MUTE}
    fleet.run(70)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {"ami": ALIVE}
    for _ in range(60):
        fleet.poll()
        assert fleet.state(FOUR) in {"up", "suspect"}


def test_a_missing_row_and_a_contradicted_probe_is_no_death() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(60)
    fleet[ONE].row = False
    fleet.run(60)
    assert fleet.state(ONE) == "suspect"


def test_a_confirmation_that_was_refuted_does_not_come_back_by_the_heartbeat_alone() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.seconds_until(ONE, "down")
    assert fleet.of(ONE).confirmed
    fleet[ONE].probes = {"ami": ALIVE}
    fleet.run(5)
    fleet[ONE].probes = {"ami": DENIED}
    fleet.run(90)
    assert (fleet.of(ONE).verdict, fleet.of(ONE).confirmed) == (DialerState.DOWN, False)


def test_a_start_that_is_not_known_for_a_while_is_no_new_one() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for started in ("2026-11-26 08:00:00", "", "2026-11-26 08:00:00"):
        fleet[ONE].started = started
        fleet.run(5)
        assert fleet.state(ONE) == "up"


def test_a_refusal_that_stood_beside_a_beating_heartbeat_confirms_no_death() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(15)
    fleet[ONE].beats = False
    fleet.run(45)
    assert fleet.state(ONE) == "suspect"
    fleet[ONE].beats, fleet[ONE].probes = True, {"ami": ALIVE}
    fleet.run(5)
    assert fleet.state(ONE) == "up"
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") == 3.0, "it was alive since"


def test_a_refused_login_refutes_a_confirmed_death() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.run(80)
    assert fleet.of(ONE).confirmed
    fleet[ONE].probes = {"ami": DENIED}
    fleet.poll()
    assert (fleet.of(ONE).verdict, fleet.of(ONE).confirmed) == (DialerState.DOWN, False)


# --- the observer's own trouble ---------------------------------------------------------------------------------


def test_silence_while_nobody_looked_is_not_held_against_a_dialer() -> None:
    fleet = healthy(ONE, TWO)
    fleet[ONE].beats = False
    fleet.sleep(600)
    fleet.poll()
    assert fleet.state(ONE) == "suspect"
    assert fleet.health.brake
    assert fleet.seconds_until(ONE, "down", 80) == 75.0


def test_one_that_died_between_two_collectors_is_down_as_any_other() -> None:
    fleet = healthy(ONE, TWO)
    fleet.take_over()
    fleet[ONE].beats = False
    fleet.run(74.5)
    assert (fleet.state(ONE), fleet.state(TWO)) == ("suspect", "up")
    fleet.run(2)  # until the other one was seen to beat, the brake held, and what is silent counts from then
    assert (fleet.state(ONE), fleet.state(TWO)) == ("down", "up")


def test_a_new_collector_believes_a_probe_at_once() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet.take_over()
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") <= 4.5


def test_a_probe_that_is_silent_for_a_while_stays_credible_and_has_no_vote_meanwhile() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet.take_over()
    fleet[ONE].beats, fleet[ONE].probes = False, {}
    fleet.run(6)
    assert fleet.state(ONE) == "suspect"
    fleet[ONE].probes = {"ami": REFUSED}
    assert fleet.seconds_until(ONE, "down") == 1.5


def test_one_lost_probe_does_not_kill_a_dialer_whose_updater_has_died() -> None:
    fleet = healthy(ONE, TWO, ami=ALIVE)
    fleet[ONE].beats = False
    fleet.run(20)
    fleet[ONE].probes = {"ami": ProbeResult.UNREACHABLE}
    fleet.poll()
    fleet[ONE].probes = {"ami": ALIVE}
    fleet.run(5)
    assert fleet.state(ONE) == "suspect"


def test_nobody_is_moved_for_a_minute_after_all_probes_went_blind() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].probes = {"ami": REFUSED}
    fleet.run(20)
    fleet[ONE].beats = False
    fleet.run(20)
    assert (fleet.state(ONE), fleet.health.brake) == ("suspect", reason(ReasonCode.PROBES_BLIND))
    fleet.run(45)
    assert fleet.health.brake is None, "a firewall that keeps them out for good must not keep everybody where they are"


def test_what_was_down_stays_down_under_a_new_collector() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    fleet.take_over()
    fleet.run(30)
    assert fleet.state(ONE) == "down"


# --- states -----------------------------------------------------------------------------------------------------


def die(fleet: Fleet, server_ip: str) -> None:
    """Let a dialer die, and be judged down."""
    for sim in fleet.sims.values():
        sim.probes = sim.probes or {"sip": ALIVE}
    fleet.poll()
    fleet[server_ip].beats, fleet[server_ip].probes = False, {"sip": CUT}
    fleet.seconds_until(server_ip, "down")


def come_back(fleet: Fleet, server_ip: str) -> None:
    """Let it work again."""
    fleet[server_ip].beats, fleet[server_ip].probes = True, {"sip": ALIVE}


def test_a_dialer_that_comes_back_beats_for_10_s_and_is_on_probation_for_30() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    come_back(fleet, ONE)
    assert fleet.seconds_until(ONE, "recovering") == 11.0, "three advances, then ten seconds"
    assert fleet.seconds_until(ONE, "up") == 30.0


def test_a_dialer_that_is_down_and_steps_does_not_come_back() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    fleet[ONE].beats, fleet[ONE].steps_seconds = True, 11
    for _ in range(300):
        fleet.poll()
        assert fleet.state(ONE) == "down"


def test_a_dialer_that_is_down_and_falls_silent_again_waits_anew() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    come_back(fleet, ONE)
    fleet.run(6)
    fleet[ONE].beats = False
    fleet.run(5)
    fleet[ONE].beats = True
    assert fleet.seconds_until(ONE, "recovering") > 10
    assert fleet.of(ONE).deaths == 1


def test_each_death_doubles_the_probation_up_to_ten_minutes() -> None:
    fleet = healthy(ONE, TWO, THREE)
    probations = []
    for _ in range(7):
        die(fleet, ONE)
        come_back(fleet, ONE)
        fleet.seconds_until(ONE, "recovering")
        probations.append(fleet.seconds_until(ONE, "up", 700))
    assert probations == [30, 60, 120, 240, 480, 600, 600]


def test_half_an_hour_without_a_death_is_a_new_beginning() -> None:
    fleet = healthy(ONE, TWO, THREE)
    for _ in range(2):
        die(fleet, ONE)
        come_back(fleet, ONE)
        fleet.seconds_until(ONE, "up", 100)
        fleet.run(1801)
    assert fleet.of(ONE).deaths == 0


def test_a_short_suspicion_does_not_cut_the_probation_short() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    come_back(fleet, ONE)
    fleet.seconds_until(ONE, "recovering")
    fleet[ONE].beats = False
    fleet.seconds_until(ONE, "suspect")
    fleet[ONE].beats = True
    assert fleet.seconds_until(ONE, "recovering") < 5


def test_switched_off_for_ten_seconds_means_draining() -> None:
    fleet = healthy(ONE, TWO)
    fleet[ONE].active = False
    fleet.poll()
    assert fleet.seconds_until(ONE, "draining") == 10.0
    fleet[ONE].active = True
    fleet.poll()
    assert fleet.state(ONE) == "up"


def test_one_that_was_switched_off_for_a_moment_is_as_before() -> None:
    fleet = healthy(ONE, TWO, THREE, FOUR)
    for each in (ONE, TWO, THREE):
        fleet[each].active = False
        fleet.poll()
        fleet[each].active = True
        fleet.run(60)
    fleet[ONE].active = False
    fleet.poll()
    assert fleet.seconds_until(ONE, "draining") == 10.0, "it was on since"
    fleet[ONE].active = True
    die(fleet, FOUR)
    die(fleet, THREE)
    assert fleet.health.brake is None, "all four are in service"


def test_closed_to_logins_is_closed_and_no_more() -> None:
    fleet = healthy(ONE, TWO)
    fleet[ONE].agent_logins = False
    fleet.run(60)
    assert fleet.state(ONE) == "closed"


def test_down_outranks_the_flags() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].active = fleet[ONE].agent_logins = False
    die(fleet, ONE)
    fleet.run(20)
    assert fleet.state(ONE) == "down"


def test_an_order_drains_at_once_until_it_is_taken_back() -> None:
    fleet = healthy(ONE, TWO)
    order = Drain(cluster=CLUSTER, ordered_at_ms=0, by="anna", server_ip=ONE)
    fleet.orders.add(order)
    fleet.poll()
    assert fleet.state(ONE) == "draining"
    fleet.orders.drains.clear()
    fleet.poll()
    assert fleet.state(ONE) == "up"


def test_a_maintenance_window_drains_ahead_of_time() -> None:
    midnight = datetime(2027, 1, 15, tzinfo=UTC)
    fleet = healthy(ONE, TWO)
    fleet.policy = Policy(windows=(MaintenanceWindow(start_minute=0, minutes=5, server_ips=frozenset({ONE})),))
    for seconds, state in ((-601, "up"), (-599, "draining"), (299, "draining"), (301, "up")):
        fleet.now_ms = round(midnight.timestamp() * 1000) + seconds * 1000 - TICK_MS
        fleet.poll()
        assert (fleet.state(ONE), fleet.state(TWO)) == (state, "up"), seconds


def test_a_window_holds_on_its_weekdays_only() -> None:
    friday = datetime(2027, 1, 15, 0, 30, tzinfo=UTC)
    window = MaintenanceWindow(start_minute=20, minutes=20, weekdays=frozenset({4}))
    assert window.covers(ONE, round(friday.timestamp() * 1000))
    assert not window.covers(ONE, round((friday.timestamp() + 86_400) * 1000))


# --- the brake --------------------------------------------------------------------------------------------------


def test_with_two_dialers_one_dying_is_no_fleets_trouble() -> None:
    fleet = healthy(ONE, TWO)
    die(fleet, ONE)
    assert fleet.health.brake is None


def test_more_than_half_at_once_is_braked_until_they_are_back() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.seconds_until(ONE, "down", 80)
    assert fleet.health.brake == reason(ReasonCode.FLEET_BRAKE, bad=2, service=3)
    fleet.run(600)
    fleet[TWO].beats = True
    fleet.run(11)
    assert fleet.health.brake is not None
    fleet.run(1)
    assert fleet.health.bad_since_ms is None
    assert fleet.health.brake is None


def test_half_is_not_more_than_half() -> None:
    fleet = healthy(ONE, TWO, THREE, FOUR)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.run(20)
    assert fleet.health.brake is None


def test_missing_rows_everywhere_are_braked() -> None:
    fleet = healthy(ONE, TWO, THREE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].row = False
    fleet.poll()
    assert fleet.health.brake


def test_deaths_that_probes_confirm_do_not_release_the_brake_by_time() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    for server_ip in (ONE, TWO):
        fleet[server_ip].beats, fleet[server_ip].probes = False, {"ami": REFUSED}
    fleet.run(900)
    assert fleet.health.brake
    fleet[TWO].beats, fleet[TWO].probes = True, {"ami": ALIVE}
    fleet.run(12)
    assert fleet.health.brake is None


def test_an_operator_releases_the_brake_at_once_and_only_that_one() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.run(20)
    assert fleet.health.bad_since_ms is not None
    order = Unbrake(cluster=CLUSTER, ordered_at_ms=0, by="anna", bad_since_ms=fleet.health.bad_since_ms)
    fleet.orders.add(order)
    fleet.run(20)
    assert fleet.health.brake is None
    fleet[ONE].beats = fleet[TWO].beats = True
    fleet.run(60)
    fleet[ONE].beats = fleet[TWO].beats = False
    fleet.run(20)
    assert fleet.health.brake


def test_dialers_that_died_long_ago_or_never_served_do_not_brake() -> None:
    fleet = healthy(ONE, TWO, THREE)
    die(fleet, ONE)
    fleet.run(700)
    die(fleet, TWO)
    assert (fleet.state(ONE), fleet.state(TWO), fleet.health.brake) == ("down", "down", None)


def test_the_same_polls_give_the_same_verdicts() -> None:
    first, second = (healthy(ONE, TWO, ami=ALIVE) for _ in range(2))
    for fleet in (first, second):
        fleet[ONE].beats = False
        fleet.run(30)
    assert first.health == second.health
    assert DialerState.SUSPECT in {each.state for each in first.health.dialers.values()}


def test_the_brakes_set_stays_however_long_it_lasts() -> None:
    for dead in ((ONE, TWO, THREE), (ONE, TWO)):
        fleet = healthy(ONE, TWO, THREE)
        for server_ip in dead:
            fleet[server_ip].beats = False
        fleet.run(1900)
        assert fleet.health.brake == reason(ReasonCode.FLEET_BRAKE, bad=len(dead), service=3)


def test_what_was_silent_under_the_brake_counts_anew_when_it_lets_go() -> None:
    fleet = healthy(ONE, TWO, THREE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = False
    fleet.run(100)
    fleet[ONE].beats = True
    fleet.run(12)
    assert fleet.health.braked == (TWO, THREE)
    fleet[TWO].beats = True
    fleet.run(12)
    assert fleet.of(THREE).verdict is DialerState.SUSPECT
    assert fleet.health.brake is None
    fleet.run(73)
    assert fleet.of(THREE).verdict is DialerState.SUSPECT
    fleet.run(3)
    assert fleet.of(THREE).verdict is DialerState.DOWN


def test_dialers_that_come_back_one_by_one_are_never_down() -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = False
    fleet.run(45)
    for server_ip in (ONE, TWO, THREE):
        fleet[server_ip].beats = True
        fleet.run(1.5)
    fleet.run(3)
    assert [(fleet.state(each), fleet.of(each).deaths) for each in (ONE, TWO, THREE)] == [("up", 0)] * 3


def test_a_refusal_beside_a_heartbeat_that_goes_on_is_suspect_however_long_it_lasts() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(300)
    assert fleet.state(ONE) == "suspect"
