"""The state of a cluster at a glance, and the sentence that goes with it."""

import msgspec
import pytest

from controller.core.explanations import sentence_about
from controller.core.state import ClusterState
from controller.core.tones import Tone, tone_of
from messages.records import DialerReading, DialerState, Outage
from tests.support.builders import CLUSTER, NOW_MS, ONE, TWO, desk_state, dialer, poll
from tests.support.floor import Floor, crowd


def outage(why: str) -> Outage:
    return Outage(cluster=CLUSTER, epoch=1, sequence=9, unreachable_since_ms=NOW_MS, collector="c", why=why)


def test_sound_dialers_are_well_and_a_dead_one_is_trouble() -> None:
    floor = Floor(*crowd(2))
    floor.judge()
    assert tone_of(floor.state, stale=False) is Tone.WELL
    floor.judge(ONE=DialerState.CLOSED)
    assert tone_of(floor.state, stale=False) is Tone.CARE
    floor.judge(ONE=DialerState.DOWN)
    assert tone_of(floor.state, stale=False) is Tone.TROUBLE


@pytest.mark.parametrize(
    ("dialers", "why"),
    [
        ((), "VICIdial's table servers is empty"),
        ((dialer(ONE, asterisk=False),), "no server has active_asterisk_server=Y"),
        ((dialer(ONE, active=False), dialer(TWO, active=False)), "all 2 have active=N"),
        ((dialer(ONE, agent_logins=False),), "the only one has active_agent_login_server=N"),
    ],
)
def test_no_dialer_at_all_is_trouble_and_says_why(dialers: tuple[DialerReading, ...], why: str) -> None:
    state = ClusterState(CLUSTER)
    state.fold(poll(*dialers))
    state.observed.health = msgspec.structs.replace(state.observed.health, polled_at_ms=state.observed.observed_at_ms)
    assert why in sentence_about(state, stale=False)
    assert tone_of(state, stale=False) is Tone.TROUBLE


def test_dialers_none_of_which_takes_logins_are_trouble() -> None:
    floor = Floor()
    floor.judge(ONE=DialerState.DRAINING, TWO=DialerState.DRAINING, THREE=DialerState.DRAINING)
    assert tone_of(floor.state, stale=False) is Tone.TROUBLE


@pytest.mark.parametrize("why", ["refuses user 'hotdesk': check the password", "another hotdesk collects here"])
def test_a_database_that_refuses_is_trouble_with_its_own_words_even_if_nothing_was_ever_known(why: str) -> None:
    never, once = ClusterState(CLUSTER), desk_state(dialer(ONE), dialer(TWO))
    for state in (never, once):
        state.fold(outage(why))
        assert tone_of(state, stale=True) is Tone.TROUBLE
        assert sentence_about(state, stale=True).startswith(f"Nothing is known: the database cannot be read: {why}")


def test_without_any_word_nothing_is_known() -> None:
    state = desk_state(dialer(ONE), dialer(TWO))
    assert tone_of(state, stale=True) is Tone.BLIND
    assert "no poll came in for 5 seconds" in sentence_about(state, stale=True)
    assert "no poll came in yet" in sentence_about(ClusterState(CLUSTER), stale=True)
