"""What agents decide, without a database: orders are obeyed as the agent screen does, and seeds repeat a day."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.agents import Act, Agent, Habits, Mind, Phase, Screen

HABITS = Habits(relogin=(2, 6), wrapping=(5, 5), pausing=(30, 30), notices_dead_call=(40, 40))
CALM = Screen()
NOBODY_LEAVES = 10**9


def mind(seed: int = 1) -> Mind:
    return Mind(HABITS, Random(seed))  # noqa: S311 (seeded is the point)


def at_work(phase: Phase, until: float = 100) -> Agent:
    return Agent(phase, until, leaves_at=NOBODY_LEAVES)


@pytest.mark.parametrize("phase", [Phase.PAUSED, Phase.WAITING, Phase.RINGING])
def test_a_logout_order_is_obeyed_at_once_without_a_call(phase: Phase) -> None:
    agent, act = mind().decide(at_work(phase), Screen(external_pause="LOGOUT"), now=10)
    assert (agent.phase, act) == (Phase.OUT, Act.LOG_OUT)
    assert 12 <= agent.until <= 16


def test_a_logout_order_waits_for_the_call_and_its_disposition() -> None:
    ordered = Screen(external_pause="LOGOUT")
    agent, act = mind().decide(at_work(Phase.TALKING, until=20), ordered, now=10)
    assert (agent.phase, act) == (Phase.TALKING, None)
    agent, act = mind().decide(agent, ordered, now=20)
    assert (agent.phase, act) == (Phase.WRAPPING, Act.SHOW)
    agent, act = mind().decide(agent, ordered, now=24)
    assert (agent.phase, act) == (Phase.WRAPPING, None)
    agent, act = mind().decide(agent, ordered, now=25)
    assert (agent.phase, act) == (Phase.OUT, Act.LOG_OUT)


def test_hang_up_status_and_logout_free_an_agent_of_a_dead_call() -> None:
    orders = Screen(calls_run=False, external_pause="LOGOUT", external_hangup="1", external_status="DROP")
    agent, act = mind().decide(at_work(Phase.TALKING), orders, now=10)
    assert (agent.phase, act) == (Phase.WRAPPING, Act.SHOW)
    agent, act = mind().decide(agent, orders, now=11)
    assert (agent.phase, act) == (Phase.OUT, Act.LOG_OUT)


def test_a_dead_call_lasts_until_the_agent_notices() -> None:
    dead = Screen(calls_run=False)
    agent, act = mind().decide(at_work(Phase.TALKING, until=20), dead, now=10)
    for now in (20, 30, 49):
        agent, act = mind().decide(agent, dead, now=now)
        assert (agent.phase, act) == (Phase.TALKING, None)
    assert mind().decide(agent, dead, now=50)[1] is Act.SHOW


@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.RINGING])
def test_a_dialer_without_calls_brings_no_call(phase: Phase) -> None:
    agent = at_work(phase, until=0)
    for now in range(1, 500):
        agent, _ = mind(now).decide(agent, Screen(calls_run=False), now)
        assert agent.phase in {phase, Phase.PAUSED, Phase.WAITING}


def test_a_pause_order_is_obeyed_once_and_resume_ends_it() -> None:
    paused = Screen(external_pause="PAUSE!1")
    agent, act = mind().decide(at_work(Phase.WAITING), paused, now=10)
    assert (agent.phase, act) == (Phase.PAUSED, Act.SHOW)
    agent, act = mind().decide(agent, paused, now=40)
    assert (agent.phase, act) == (Phase.WAITING, Act.SHOW)
    agent, act = mind().decide(agent, paused, now=41)
    assert (agent.phase, act) == (Phase.WAITING, None)

    agent, act = mind().decide(at_work(Phase.PAUSED), Screen(external_pause="RESUME!2"), now=10)
    assert (agent.phase, act) == (Phase.WAITING, Act.SHOW)


def test_a_pause_ordered_during_a_call_comes_after_it() -> None:
    paused = Screen(external_pause="PAUSE!1")
    agent, _ = mind().decide(at_work(Phase.TALKING, until=20), paused, now=10)
    agent, _ = mind().decide(agent, paused, now=20)
    assert agent.phase is Phase.WRAPPING
    agent, act = mind().decide(agent, paused, now=25)
    assert (agent.phase, act) == (Phase.PAUSED, Act.SHOW)


def test_a_session_that_is_gone_is_noticed_and_nothing_is_written() -> None:
    agent, act = mind().decide(at_work(Phase.TALKING), Screen(session_open=False), now=10)
    assert (agent.phase, act) == (Phase.OUT, None)


def test_an_agent_leaves_of_their_own_accord_between_calls_only() -> None:
    for phase in Phase:
        agent, act = mind().decide(Agent(phase, until=100, leaves_at=5), CALM, now=10)
        assert (act is Act.LOG_OUT) == (phase in {Phase.PAUSED, Phase.WAITING}), agent


screens = st.builds(
    Screen,
    session_open=st.sampled_from([True, True, True, False]),
    calls_run=st.booleans(),
    external_pause=st.sampled_from(["", "", "PAUSE!1", "RESUME!2", "LOGOUT"]),
    external_hangup=st.sampled_from(["", "", "1"]),
    external_status=st.sampled_from(["", "", "DROP"]),
)


@given(seed=st.integers(), seen=st.lists(screens, max_size=200))
def test_the_same_seed_lives_the_same_day(seed: int, seen: list[Screen]) -> None:
    def day() -> list[tuple[Agent, Act | None]]:
        person = mind(seed)
        agent = person.arrives(0)
        lived = []
        for now, screen in enumerate(seen):
            agent, act = person.decide(agent, screen, now)
            lived.append((agent, act))
        return lived

    assert day() == day()


@given(seed=st.integers(), seen=st.lists(screens, max_size=100))
def test_whatever_happened_a_logout_order_works_within_a_call_and_its_wrap_up(seed: int, seen: list[Screen]) -> None:
    person = mind(seed)
    agent = person.arrives(0)
    for now, screen in enumerate(seen):
        agent, _ = person.decide(agent, screen, now)
    longest = int(HABITS.talking[1] + HABITS.notices_dead_call[1] + HABITS.wrapping[1]) + 2
    for now in range(len(seen), len(seen) + longest):
        if agent.phase is Phase.OUT:
            return
        agent, _ = person.decide(agent, Screen(calls_run=False, external_pause="LOGOUT"), now)
    assert agent.phase is Phase.OUT
