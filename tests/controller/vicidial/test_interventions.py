"""The fence and the emergency logout in real tables, with exactly the grants that the documents name."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controller.vicidial.interventions import END_SESSION, SqlInterventions
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.actuators import reach
from messages.codes import Reply
from messages.records import Fence, FenceStage, Relogin, ScreenRestore
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.processes import ACT, CLUSTER, Site, grants, site

ROOT = Path(__file__).parents[3] / "controller"
USER = "1001"


@pytest.fixture
def at(database: Database) -> Iterator[Site]:
    """Yield a cluster in which everybody is logged in, and an account that may look."""
    with site(database, ClusterPlan(dialers=2, agents=4, remote_agents=0)) as made:
        with made.living() as cluster:
            cluster.stop()
            cluster.begin_mid_shift()
        yield made


def rows(at: Site, statement: str) -> list[tuple[Any, ...]]:
    with at.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def interventions(at: Site, *files: str) -> SqlInterventions:
    for file in files:
        at.run(*grants(at, ROOT / file))
    return reach(ActuatorSettings(database=at.settings)).interventions


def session(at: Site, *, dialer_lives: bool = True) -> Relogin:
    """Return the order that ends the session of USER."""
    ((number, server_ip),) = rows(
        at, f"SELECT live_agent_id, server_ip FROM vicidial_live_agents WHERE user = '{USER}'"
    )
    return Relogin(
        cluster=CLUSTER,
        live_agent_id=number,
        user=USER,
        incident="i",
        from_server_ip=server_ip,
        to_server_ip="",
        phone_login="",
        planned_at_ms=0,
        attempts=4,
        forced=True,
        dialer_lives=dialer_lives,
    )


def traces(at: Site) -> tuple[int, int, int]:
    """Count what a logout leaves behind: LOGOUT events, notes for admins, orders to end the room."""
    events = rows(at, f"SELECT COUNT(*) FROM vicidial_user_log WHERE user = '{USER}' AND event = 'LOGOUT'")
    notes = rows(at, f"SELECT COUNT(*) FROM vicidial_admin_log WHERE record_id = '{USER}'")
    rooms = rows(at, "SELECT COUNT(*) FROM vicidial_manager WHERE status = 'NEW'")
    return events[0][0], notes[0][0], rooms[0][0]


def test_a_session_is_ended_as_the_admin_page_ends_it(at: Site) -> None:
    hand = interventions(at, "grants-emergency.sql")
    ended = session(at)
    assert hand.end_session(ended).reply is Reply.DONE
    assert rows(at, f"SELECT 1 FROM vicidial_live_agents WHERE user = '{USER}'") == []
    assert traces(at) == (1, 1, 1)
    ((kind,),) = rows(at, f"SELECT pause_type FROM vicidial_agent_log WHERE user = '{USER}' ORDER BY 1 DESC LIMIT 1")
    assert kind == "ADMIN"
    assert hand.end_session(ended).reply is Reply.GONE
    assert traces(at) == (1, 1, 1)
    assert rows(at, "SELECT COUNT(*) FROM vicidial_live_agents") == [(3,)], "nobody else's"


def test_one_that_broke_off_is_resumed_without_doing_anything_twice(at: Site) -> None:
    hand = interventions(at, "grants-emergency.sql")
    ended = session(at)
    at.run(f"REVOKE DELETE ON `{at.name}`.vicidial_live_agents FROM '{at.user}'@'%'")
    refused = hand.end_session(ended)
    assert refused.reply is Reply.REFUSED, "it may stop no move"
    assert "DELETE command denied" in refused.said
    assert "controller/grants-emergency.sql" in refused.said
    assert rows(at, f"SELECT 1 FROM vicidial_live_agents WHERE user = '{USER}'") == [(1,)]
    at.run(f"GRANT DELETE ON `{at.name}`.vicidial_live_agents TO '{at.user}'@'%'")
    assert hand.end_session(ended).reply is Reply.DONE
    assert traces(at) == (1, 1, 1)


def test_a_dead_dialer_gets_no_order_to_end_a_room(at: Site) -> None:
    assert interventions(at, "grants-emergency.sql").end_session(session(at, dialer_lives=False)).reply is Reply.DONE
    assert traces(at) == (1, 1, 0)


def test_a_session_that_is_elsewhere_by_now_is_not_touched(at: Site) -> None:
    ended = msgspec.structs.replace(session(at), from_server_ip="10.9.9.9")
    assert interventions(at, "grants-emergency.sql").end_session(ended).reply is Reply.GONE
    assert traces(at) == (0, 0, 0)
    assert rows(at, f"SELECT 1 FROM vicidial_live_agents WHERE user = '{USER}'") == [(1,)]
    assert END_SESSION.count("%s") == 3


def test_a_fence_takes_only_what_is_open_and_says_whether_it_did(at: Site) -> None:
    hand = interventions(at, "grants-fence.sql")
    server_ip = at.plan.dialer_plans[0].server_ip
    fence = Fence(cluster=CLUSTER, server_ip=server_ip, incident="i", planned_at_ms=1)
    flag = f"SELECT active_agent_login_server FROM servers WHERE server_ip = '{server_ip}'"
    assert hand.fence(fence, first=True).reply is Reply.DONE
    assert rows(at, flag) == [("N",)]
    assert hand.fence(fence, first=True).reply is Reply.GONE, "somebody else had closed it"
    assert hand.fence(fence, first=False).reply is Reply.DONE, "no person has, so an earlier attempt did"
    back = msgspec.structs.replace(fence, stage=FenceStage.RETURNING)
    assert hand.fence(back, first=True).reply is Reply.DONE
    assert rows(at, flag) == [("Y",)]
    assert hand.fence(back, first=True).reply is Reply.GONE
    assert rows(at, "SELECT COUNT(*) FROM servers WHERE active_agent_login_server = 'N'") == [(0,)]


@pytest.mark.parametrize("wanted", [True, False])
def test_without_the_right_a_dialer_is_left_open_and_nothing_else_is_stopped(at: Site, *, wanted: bool) -> None:
    _, _, hand = reach(ActuatorSettings(database=at.settings))
    server_ip = at.plan.dialer_plans[0].server_ip
    fence = Fence(cluster=CLUSTER, server_ip=server_ip, incident="i", planned_at_ms=1, wanted=wanted)
    for first in (True, False):
        left = hand.fence(fence, first=first)
        assert left.reply is Reply.GONE
        assert "UPDATE command denied" in left.said
        assert "controller/grants-fence.sql" in left.said


@pytest.mark.parametrize("how", ["IDENTIFIED BY 'another'", "ACCOUNT LOCK"])
def test_an_account_that_is_not_let_in_at_all_lacks_more_than_what_is_optional(at: Site, how: str) -> None:
    hand = interventions(at, "grants-fence.sql", "grants-emergency.sql")
    at.run(f"ALTER USER '{at.user}'@'%' {how}")
    server_ip = at.plan.dialer_plans[0].server_ip
    fence = Fence(cluster=CLUSTER, server_ip=server_ip, incident="i", planned_at_ms=1)
    back = msgspec.structs.replace(fence, stage=FenceStage.RETURNING)
    tried = (hand.fence(fence, first=True), hand.fence(back, first=True), hand.end_session(session(at)))
    assert [each.reply for each in tried] == [Reply.DENIED] * 3, "no move could be made either, and it is said once"
    assert not any("grants-" in each.said for each in tried)


def test_a_fence_whose_right_was_taken_away_meanwhile_is_still_hotdesks_to_give_back(at: Site) -> None:
    hand = interventions(at, "grants-fence.sql")
    server_ip = at.plan.dialer_plans[0].server_ip
    fence = Fence(cluster=CLUSTER, server_ip=server_ip, incident="i", planned_at_ms=1)
    assert hand.fence(fence, first=True).reply is Reply.DONE
    at.run(f"REVOKE UPDATE (active_agent_login_server) ON `{at.name}`.servers FROM '{at.user}'@'%'")
    assert hand.fence(fence, first=False).reply is Reply.DONE, "an earlier owner has closed it, and no person has"
    back = hand.fence(msgspec.structs.replace(fence, stage=FenceStage.RETURNING), first=True)
    assert back.reply is Reply.REFUSED, "it may stop no move"
    assert "controller/grants-fence.sql" in back.said


def test_a_screen_that_was_lost_is_put_back_as_it_was(at: Site) -> None:
    hand = interventions(at, "grants-screens.sql")
    server_ip = at.plan.dialer_plans[0].server_ip
    kept = f"'1764_1001_7', '{USER}', '{server_ip}', 'SIP/1001', '2026-11-27 07:31:55'"
    at.run(
        "INSERT INTO vicidial_session_data (session_name, user, server_ip, extension, login_time)"
        f" VALUES ({kept}), ('1764_1002_8', '1002', '{server_ip}', 'SIP/1002', NOW())"
    )
    restore = ScreenRestore(cluster=CLUSTER, live_agent_id=1, user=USER, server_ip=server_ip, planned_at_ms=1)
    for _ in range(2):
        assert hand.restore_screen(restore).reply is Reply.DONE
        assert rows(
            at, "SELECT session_name, server_ip, extension, program, start_time + 0 FROM web_client_sessions"
        ) == [("1764_1001_7", server_ip, "SIP/1001", "vicidial", 20261127073155)]


def test_without_the_right_no_move_is_suspended_for_it(at: Site) -> None:
    _, _, hand = reach(ActuatorSettings(database=at.settings))
    restore = ScreenRestore(cluster=CLUSTER, live_agent_id=1, user=USER, server_ip="10.0.0.1", planned_at_ms=1)
    assert hand.restore_screen(restore).reply is Reply.REFUSED
    assert hand.missing_restore_rights()


@pytest.mark.parametrize("granted", [True, False])
def test_the_check_tells_whether_the_account_may(at: Site, *, granted: bool) -> None:
    if granted:
        at.run(*grants(at, ACT), *grants(at, ROOT / "grants-fence.sql"), *grants(at, ROOT / "grants-emergency.sql"))
        at.run(*grants(at, ROOT / "grants-screens.sql"))
    reader, hand, tables = reach(ActuatorSettings(database=at.settings))
    tried = (
        hand.missing_rights("DROP"),
        tables.missing_fence_rights(),
        tables.missing_restore_rights(),
        tables.missing_end_rights(msgspec.structs.replace(session(at), user="")),
    )
    assert [bool(each) for each in tried] == [not granted] * 4
    if granted:
        at.run("INSERT INTO vicidial_campaign_statuses (status, campaign_id) VALUES ('OURS', 'X')")
        assert (reader.knows_status("OURS"), reader.knows_status("NOPE")) == (True, False)


def test_who_closed_a_dialer_is_read_from_the_flag_and_from_vicidials_log_of_changes(at: Site) -> None:
    hand = interventions(at, "grants-fence.sql")
    first, second = at.plan.dialer_plans
    looking = Fence(
        cluster=CLUSTER,
        server_ip=first.server_ip,
        incident="i",
        planned_at_ms=round(time.time() * 1000),
        stage=FenceStage.LOOKING,
    )
    assert hand.fence(looking, first=False).reply is Reply.GONE, "it is open"
    at.run("UPDATE servers SET active_agent_login_server = 'N'")
    assert hand.fence(looking, first=False).reply is Reply.DONE
    modified = (
        "INSERT INTO vicidial_admin_log"
        " (event_date, user, ip_address, event_section, event_type, record_id, event_code)"
        " VALUES (NOW() - INTERVAL {} MINUTE, 'boss', '', 'SERVERS', 'MODIFY', '{}', 'ADMIN MODIFY SERVER')"
    )
    at.run(modified.format(5, first.server_id), modified.format(0, second.server_id))
    assert hand.fence(looking, first=False).reply is Reply.DONE, "that was before, and that another dialer"
    cleared = modified.replace("'MODIFY'", "'CLEAR'").format(0, first.server_id)
    at.run(cleared)
    assert hand.fence(looking, first=False).reply is Reply.DONE, "that a person cleared its calls changes no flag"
    at.run(modified.format(0, first.server_id))
    assert hand.fence(looking, first=False).reply is Reply.GONE, "a person closed it"
    at.run(f"REVOKE SELECT ON `{at.name}`.vicidial_admin_log FROM '{at.user}'@'%'")
    refused = hand.fence(looking, first=False)
    assert (refused.reply, "it cannot be read who closed the dialer" in refused.said) == (Reply.REFUSED, True)
