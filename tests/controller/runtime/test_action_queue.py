"""Which action comes next: kinds, the pace over everything in progress, and nobody twice."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from controller.core.actions import attempt_of
from controller.runtime.action_queue import ActionQueue
from messages.records import Action, AgentPause, Fence, Relogin
from tests.support.builders import CLUSTER, MOVE, ONE

FENCE = Fence(cluster=CLUSTER, server_ip=ONE, incident="i", planned_at_ms=1)
PACE = 2.0


def move(number: int) -> Relogin:
    return msgspec.structs.replace(MOVE, live_agent_id=number, user=str(1000 + number))


def pause(number: int) -> AgentPause:
    return AgentPause(cluster=CLUSTER, live_agent_id=number, user=str(1000 + number), incident="i", server_ip=ONE)


def queue_of(*actions: Action) -> ActionQueue:
    queue = ActionQueue()
    for each in actions:
        queue.add(each)
    return queue


def test_fences_come_before_moves_and_moves_before_pauses() -> None:
    queue = queue_of(pause(2), move(1), FENCE)
    assert [queue.begin(0.0, PACE) for _ in range(4)] == [FENCE, move(1), pause(2), None]


def test_pauses_go_on_while_the_pace_holds_up_moves() -> None:
    queue = queue_of(move(1), move(2), move(3), pause(4))
    assert [queue.begin(0.0, PACE) for _ in range(3)] == [move(1), move(2), pause(4)]
    assert queue.begin(0.0, PACE) is None
    queue.end(move(1))
    assert queue.begin(0.0, PACE) == move(3), "the first sent nothing, and holds up no other"


def test_of_one_agent_nothing_is_in_progress_twice_in_whatever_case_the_name_is() -> None:
    queue = queue_of(move(1), msgspec.structs.replace(pause(1), user="1001"), pause(2))
    assert queue.begin(0.0, PACE) == move(1)
    assert queue.begin(0.0, PACE) == pause(2)
    assert queue.begin(0.0, PACE) is None
    queue.end(move(1))
    assert queue.begin(0.0, PACE) == pause(1)
    upper, lower = (msgspec.structs.replace(move(n), user=user) for n, user in ((1, "ANNA"), (2, "anna")))
    queue = queue_of(upper, lower)
    assert [queue.begin(0.0, PACE), queue.begin(0.0, PACE)] == [upper, None]


def test_what_has_not_begun_can_be_taken_back() -> None:
    queue = queue_of(move(1), move(2))
    assert queue.begin(0.0, PACE) == move(1)
    assert queue.withdraw([attempt_of(move(1)), attempt_of(move(2))]) == [move(2)]
    assert queue.begin(0.0, PACE) is None


def test_moves_wait_until_the_pace_allows_another() -> None:
    queue = queue_of(*map(move, range(1, 4)))
    for at in (0.0, 0.25):
        begun = queue.begin(at, PACE)
        assert begun is not None
        queue.note_sent(at)
        queue.end(begun)
    assert queue.begin(0.5, PACE) is None
    assert queue.seconds_until_paced(0.5) == 0.5
    assert queue.begin(1.0, PACE) is not None


@given(st.lists(st.tuples(st.sampled_from(["begin", "send", "end"]), st.floats(0.0, 0.4)), max_size=80))
def test_whatever_is_in_progress_no_second_has_more_logouts_than_the_pace(steps: list[tuple[str, float]]) -> None:
    queue, now, begun, sent = queue_of(*map(move, range(1, 60))), 0.0, list[Action](), list[float]()
    unsent: list[Action] = []
    for what, passes in steps:
        now += passes
        if what == "begin" and (action := queue.begin(now, PACE)) is not None:
            begun.append(action)
            unsent.append(action)
        elif what == "send" and unsent:
            unsent.pop(0)
            queue.note_sent(now)
            sent.append(now)
        elif what == "end" and begun:
            over = begun.pop(0)
            unsent = [each for each in unsent if each is not over]
            queue.end(over)
    assert all(sum(at <= each < at + 1.0 for each in sent) <= PACE for at in sent)
