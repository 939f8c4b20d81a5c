"""When each web server's login hook last asked is known to every process, also after a restart."""

from controller.core.cluster import Cluster, Process, no_decisions
from controller.core.hooks import FORGOTTEN_AFTER_MS, LATELY_MS, MOST_HOOKS, NOTED_EVERY_MS, asked_lately
from messages.records import HookSight
from messages.topics import Key
from tests.support.builders import CLUSTER, NOW_MS, ONE, PLAIN, arrived, dialer, folded, poll


def _cluster() -> Cluster:
    cluster = Cluster(CLUSTER, PLAIN, Process("me", ""), owned=True, decisions=no_decisions())
    cluster.state = folded(poll(dialer(ONE)))
    return cluster


def _later(cluster: Cluster, ms: int) -> None:
    cluster.state.fold(poll(dialer(ONE), sequence=cluster.state.observed.stamp[1] + 1, at_ms=NOW_MS + ms))


def test_a_sight_is_recorded_once_in_a_minute_and_read_by_others() -> None:
    cluster, reader = _cluster(), folded(poll(dialer(ONE)))
    written = cluster.see_hook("web1")
    _later(cluster, NOTED_EVERY_MS - 1)
    assert cluster.see_hook("web1") == []
    _later(cluster, NOTED_EVERY_MS)
    written += cluster.see_hook("web1") + cluster.see_hook("web2")
    assert len(written) == 3
    for news in arrived(*written):
        reader.fold(news)  # type: ignore[arg-type] # these are no dead letters
    assert reader.decided.hooks == cluster.state.decided.hooks
    assert {each.web: each.seen_at_ms - NOW_MS for each in reader.decided.hooks.values()} == {
        "web1": NOTED_EVERY_MS,
        "web2": NOTED_EVERY_MS,
    }


def test_an_older_sight_that_arrives_late_changes_nothing() -> None:
    state = folded(poll(dialer(ONE)))
    for at_ms in (NOW_MS, NOW_MS - 1):
        state.fold(HookSight(cluster=CLUSTER, web="web1", seen_at_ms=at_ms))
    assert state.decided.hooks["web1"].seen_at_ms == NOW_MS


def test_before_the_first_poll_no_time_is_known() -> None:
    cluster = Cluster(CLUSTER, PLAIN, Process("me", ""), owned=True, decisions=no_decisions())
    assert cluster.see_hook("web1") == []


def test_web_servers_that_are_gone_are_forgotten_and_their_number_is_bounded() -> None:
    cluster = _cluster()
    for number in range(MOST_HOOKS):
        cluster.see_hook(f"old{number}")
    _later(cluster, 1000)
    cluster.see_hook("web1")
    assert (len(cluster.state.decided.hooks), next(iter(cluster.state.decided.hooks))) == (MOST_HOOKS, "web1")
    _later(cluster, FORGOTTEN_AFTER_MS + 1001)
    cluster.see_hook("web2")
    assert set(cluster.state.decided.hooks) == {"web2"}


def test_a_hook_asked_lately_for_a_day() -> None:
    cluster = _cluster()
    assert not asked_lately(cluster.state.decided.hooks, NOW_MS)
    cluster.see_hook("web1")
    assert asked_lately(cluster.state.decided.hooks, NOW_MS + LATELY_MS - 1)
    assert not asked_lately(cluster.state.decided.hooks, NOW_MS + LATELY_MS)


def test_a_forgotten_clusters_hooks_are_forgotten_with_it() -> None:
    cluster = _cluster()
    cluster.see_hook("web1")
    cluster.state.decided.remove_login(Key(CLUSTER, "hook", "web1"))
    assert cluster.state.decided.hooks == {}
