"""What confirms a death, and what only looks as if it did: probes, firewalls, and an Asterisk that starts again."""

import pytest

from controller.core.detector import RETURN_SECONDS
from messages.records import DialerState, ProbeResult
from tests.support.builders import ONE, THREE, TWO
from tests.support.fleet import ALIVE, CUT, DENIED, FOUR, MUTE, REFUSED, Fleet, healthy


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


@pytest.mark.parametrize("probes", [{}, {"sip": ALIVE}], ids=["no probes", "SIP"])
def test_an_asterisk_whose_phones_are_gone_is_down_though_its_updater_is_back_and_all_answers(
    probes: dict[str, ProbeResult],
) -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].probes = probes
    fleet.run(5)
    last_seen_ms = fleet.now_ms
    fleet[ONE].beats = False
    fleet.run(40)
    fleet[ONE].beats = True
    fleet.run(10)
    assert fleet.of(ONE).verdict is DialerState.UP
    fleet[ONE].restarted_after_ms = last_seen_ms
    fleet.poll()
    assert (fleet.state(ONE), fleet.of(ONE).confirmed, fleet.of(ONE).interrupted) == ("down", True, True)
    assert fleet.of(ONE).evidence.endswith("while its updater was away: the phones there are gone")
    # each session's own phone decides, whenever it began
    assert (fleet.of(ONE).phones_lost_ms, fleet.of(ONE).phones_lost_session) == (last_seen_ms, 0)
    assert fleet.seconds_until(ONE, "recovering") <= 60
    fleet.run(600)
    assert fleet.state(ONE) == "up", "what was said once counts once"


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


def refused(seconds: float) -> Fleet:
    """Return a fleet whose dialer ONE has said when its Asterisk started, and has refused beside its heartbeat."""
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].started = "2026-11-26 08:00:00"
    fleet.poll()
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(seconds)
    return fleet


def test_an_asterisk_that_starts_again_just_before_its_updater_is_seen_by_its_refusal() -> None:
    fleet = refused(1.5)
    fleet[ONE].probes, fleet[ONE].started = {"ami": ALIVE}, "2026-11-26 12:00:00"
    fleet.poll()
    assert (fleet.state(ONE), fleet.of(ONE).interrupted) == ("down", True)
    assert fleet.seconds_until(ONE, "recovering") == 55.0


def test_an_address_that_is_mended_long_after_a_refusal_is_another_asterisk() -> None:
    fleet = refused(2)
    fleet[ONE].probes = {"ami": ALIVE}
    fleet.run(60)
    fleet[ONE].started = "2026-11-26 12:00:00"
    for _ in range(60):
        fleet.poll()
        assert fleet.state(ONE) == "up"


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


def test_a_refusal_beside_a_heartbeat_that_goes_on_is_suspect_however_long_it_lasts() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(300)
    assert fleet.state(ONE) == "suspect"


@pytest.mark.parametrize("answer", [REFUSED, MUTE, CUT])
def test_one_that_beats_again_is_back_whatever_a_firewall_answers_in_its_place(answer: ProbeResult) -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.seconds_until(ONE, "down")
    fleet.run(60)
    fleet[ONE].beats, fleet[ONE].probes = True, {"ami": answer}
    assert fleet.seconds_until(ONE, "recovering") >= RETURN_SECONDS
    fleet.run(60)
    assert fleet.state(ONE) == "suspect"


def test_one_whose_updater_is_dead_is_suspect_as_long_as_it_is_seen_to_work() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats, fleet[ONE].works_seconds = False, 60
    for _ in range(20 * 60 * 2):
        fleet.poll()
        assert fleet.state(ONE) in {"up", "suspect"}
    assert fleet.of(ONE).evidence.startswith("heartbeat stalled for 1")
    fleet[ONE].works_seconds = 1
    fleet.run(2)
    assert fleet.of(ONE).evidence.endswith(" s, no probe, though it works")
    fleet[ONE].works_seconds = None
    assert 70 < fleet.seconds_until(ONE, "down", 90) <= 76
    assert not fleet.of(ONE).confirmed


@pytest.mark.parametrize("answer", [MUTE, REFUSED, CUT])
def test_a_probe_that_fails_as_the_updater_dies_confirms_no_death_of_one_that_works(answer: ProbeResult) -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes, fleet[ONE].works_seconds = False, {"sip": answer}, 1
    for _ in range(60):
        fleet.poll()
        assert fleet.state(ONE) in {"up", "suspect"}
    fleet[ONE].works_seconds = None  # no calls for a while
    fleet.run(60)
    assert fleet.state(ONE) == "suspect"


def test_a_refusal_beside_work_is_contradicted_as_beside_a_heartbeat() -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    fleet[ONE].beats, fleet[ONE].works_seconds = False, 1
    fleet.run(30)
    fleet[ONE].probes = {"sip": REFUSED}
    fleet.run(12)
    assert fleet.of(ONE).probes["sip"].contradicted


@pytest.mark.parametrize("answer", [MUTE, REFUSED, CUT])
def test_work_that_ended_with_the_dialer_delays_its_death_by_nothing(answer: ProbeResult) -> None:
    """What it did before its heartbeat stalled is not read at all."""
    idle, busy = healthy(ONE, TWO, THREE, sip=ALIVE), healthy(ONE, TWO, THREE, sip=ALIVE)
    busy[ONE].works_seconds = 0.5
    busy.run(5)
    busy[ONE].works_seconds = None
    for fleet in (idle, busy):
        fleet[ONE].beats, fleet[ONE].probes = False, {"sip": answer}
    assert busy.seconds_until(ONE, "down") == idle.seconds_until(ONE, "down") <= 3.5
    assert busy.of(ONE).confirmed


def test_one_that_dies_after_its_updater_is_down_a_few_seconds_after_its_last_work() -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    fleet[ONE].beats, fleet[ONE].works_seconds = False, 1
    fleet.run(30)
    fleet[ONE].probes, fleet[ONE].works_seconds = {"sip": CUT}, None
    assert 4 <= fleet.seconds_until(ONE, "down") <= 5.5
    assert fleet.of(ONE).confirmed


def test_one_that_is_down_by_its_heartbeat_alone_and_is_seen_to_work_is_in_doubt() -> None:
    fleet = healthy(ONE, TWO, THREE)
    fleet[ONE].beats = False
    fleet.seconds_until(ONE, "down", 90)
    fleet[ONE].works_seconds = 1
    fleet.run(1)
    assert (fleet.of(ONE).life, fleet.of(ONE).verdict) == (DialerState.DOWN, DialerState.SUSPECT)


@pytest.mark.parametrize("after_seconds", [0, 1.5, 3])
def test_a_mute_ami_beside_a_step_is_no_hang_of_one_that_works(after_seconds: float) -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE)
    fleet[ONE].steps_seconds, fleet[ONE].works_seconds = 11, 1
    fleet.run(after_seconds)
    fleet[ONE].probes = {"ami": MUTE}
    for _ in range(120):
        fleet.poll()
        assert fleet.state(ONE) in {"up", "suspect"}


def test_a_missing_row_and_a_failing_probe_is_no_death_of_one_that_works() -> None:
    fleet = healthy(ONE, TWO, THREE, sip=ALIVE)
    fleet[ONE].row, fleet[ONE].probes, fleet[ONE].works_seconds = False, {"sip": REFUSED}, 1
    fleet[ONE].progressed_at_ms = None
    for _ in range(60):
        fleet.poll()
        assert fleet.state(ONE) != "down"


def test_a_probe_that_is_asked_in_doubt_and_fails_too_puts_off_no_death() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE, sip=ALIVE)
    for sim in fleet.sims.values():
        sim.probes = {"ami": ALIVE}
    fleet.run(5)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED}
    fleet.run(2.5)
    fleet[ONE].probes = {"ami": REFUSED, "sip": MUTE}
    assert fleet.seconds_until(ONE, "down") <= 1


def test_a_probe_that_was_alive_until_now_puts_a_death_off() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE, sip=ALIVE)
    fleet[ONE].beats, fleet[ONE].probes = False, {"ami": REFUSED, "sip": ALIVE}
    fleet.run(6)
    fleet[ONE].probes = {"ami": REFUSED, "sip": MUTE}
    assert fleet.seconds_until(ONE, "down") >= 1


def test_a_contradicted_failure_makes_a_new_one_no_older() -> None:
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE, sip=ALIVE)
    fleet[ONE].probes = {"ami": REFUSED}
    fleet.run(60)
    fleet[ONE].beats = False
    fleet.run(6)
    assert fleet.state(ONE) == "suspect"
    fleet[ONE].probes = {"ami": REFUSED, "sip": MUTE}
    assert 1 <= fleet.seconds_until(ONE, "down") <= 2


@pytest.mark.parametrize("first", [CUT, REFUSED, MUTE, None])
@pytest.mark.parametrize("row", [True, False])
def test_another_way_of_failing_makes_no_failure_older_than_the_last_sign_of_life(
    first: ProbeResult | None, row: bool
) -> None:
    """`first`: what AMI says for a moment, or nothing, before it is mute; SIP was mute long before."""
    fleet = healthy(ONE, TWO, THREE, ami=ALIVE, sip=ALIVE)
    fleet[ONE].probes = {"ami": ALIVE, "sip": MUTE}
    fleet.run(6)
    fleet[ONE].row, fleet[ONE].beats = row, False
    fleet.run(4)
    assert fleet.state(ONE) in {"up", "suspect"}
    fleet[ONE].probes = {"sip": MUTE} if first is None else {"ami": first, "sip": MUTE}
    fleet.poll()
    fleet[ONE].probes = {"ami": MUTE, "sip": MUTE}
    assert fleet.seconds_until(ONE, "down") >= (0.5 if row else 7)
