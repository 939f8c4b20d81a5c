"""The rows of single agents, read right before an act, with the grants of this hotdesk and of an earlier one."""

from collections.abc import Iterator

import pytest

from controller.vicidial.sql import SqlSessionReader
from hotdesk.actuator_settings import ActuatorSettings
from hotdesk.actuators import reach
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.processes import Site, site

USER = "1001"


@pytest.fixture
def at(database: Database) -> Iterator[Site]:
    """Return a cluster in which an agent has still to choose a disposition."""
    with site(database, ClusterPlan(dialers=2, agents=2, remote_agents=0)) as made:
        with made.living() as cluster:
            cluster.stop()
            cluster.begin_mid_shift()
        made.run(f"UPDATE vicidial_live_agents SET status = 'PAUSED', lead_id = 77 WHERE user = '{USER}'")
        yield made


def wrapping_up(at: Site) -> bool:
    reader = reach(ActuatorSettings(database=at.settings)).reader
    assert isinstance(reader, SqlSessionReader)
    # twice, since a missing grant is found out once
    ((first,), (second,)) = reader.sessions(USER), reader.sessions(USER)
    assert first == second
    return first.in_wrapup


def test_the_row_says_that_an_agent_has_a_disposition_to_choose(at: Site) -> None:
    assert wrapping_up(at)


def test_one_whom_vicidials_clean_up_has_paused_in_a_call_has_not(at: Site) -> None:
    at.run(f"UPDATE vicidial_live_agents SET callerid = 'V1127073155000000077' WHERE user = '{USER}'")
    (row,) = reach(ActuatorSettings(database=at.settings)).reader.sessions(USER)
    assert (row.status, row.in_wrapup) == ("INCALL", False)


def test_blanks_behind_the_rows_address_do_not_make_it_another_dialer(at: Site) -> None:
    reader = reach(ActuatorSettings(database=at.settings)).reader
    before = reader.sessions(USER)
    at.run(f"UPDATE vicidial_live_agents SET server_ip = CONCAT(server_ip, ' ') WHERE user = '{USER}'")
    assert reader.sessions(USER) == before


@pytest.mark.parametrize(("revoked", "seen"), [("callerid", True), ("lead_id", False)])
def test_with_the_grants_of_an_earlier_hotdesk_the_row_is_read_without_what_they_lack(
    at: Site, revoked: str, seen: bool
) -> None:
    at.run(f"REVOKE SELECT ({revoked}) ON `{at.name}`.vicidial_live_agents FROM '{at.user}'@'%'")
    assert wrapping_up(at) is seen
