"""Visitors of the login page who know no password: an attacker's script each, through the shipped hook under PHP."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest

from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.all_roles import running
from tests.support.processes import ACT, CLUSTER, Client, Site, grants, site, until
from tests.support.web import LOGIN, Web, web_server

PLAN = ClusterPlan(dialers=3, agents=80, remote_agents=0)
REAL, IDLE = range(30), range(40, 80)
"""Agents who log in, and agents whose names a visitor uses."""
STRANGER = "127.0.0.2"
PATH = f"/v1/clusters/{CLUSTER}"


class Office(NamedTuple):
    """A call center with hotdesk and the hook."""

    site: Site
    hotdesk: Client
    web: Web
    log: Path


@pytest.fixture(scope="module")
def opened(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Yield a living cluster with an alias that leaves one dialer out, hotdesk in mode act, and the login page."""
    folder = tmp_path_factory.mktemp("attacked")
    with site(database, PLAN) as made:
        two = ",".join(phone.login for phone in PLAN.agent_plans[-1].phones[:2])
        made.run(
            *grants(made, ACT),
            f"INSERT INTO phones_alias (alias_id, alias_name, logins_list) VALUES ('narrow', '', '{two}')",
        )
        with made.living(), running(folder, made, acts=True) as hotdesk, web_server(folder, made, patient=True) as web:
            web.set_up(hotdesk.url)
            yield Office(made, hotdesk, web, folder / "log.db")


@pytest.fixture
def office(opened: Office) -> Iterator[Office]:
    """Yield it, and leave neither sessions nor slots to the next test."""
    yield opened
    opened.site.run("DELETE FROM vicidial_live_agents")
    users = (
        {each.user for each in PLAN.agent_plans}
        | {f"nobody{number}" for number in range(120)}
        | {"original_phone_login"}
    )
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda user: opened.hotdesk.http.delete(f"{PATH}/picks/{user}"), users))
    until(lambda: all(each.agents + each.slots == 0 for each in opened.hotdesk.dialers()), "everybody is gone")


def _forms(office: Office, forms: list[tuple[str, str]], address: str = "127.0.0.1", **more: str) -> list[str]:
    """Send forms with a wrong password, eight at a time, and return the pages that were shown."""
    transport = httpx.HTTPTransport(local_address=address)
    with httpx.Client(base_url=office.web.url, transport=transport, timeout=20) as http, ThreadPoolExecutor(8) as pool:

        def send(form: tuple[str, str]) -> str:
            user, alias = form
            typed = LOGIN | {"VD_pass": "wrong", "VD_login": user, "phone_login": alias} | more
            return http.post("/vicidial.php", data=typed).text

        return list(pool.map(send, forms))


def _landed(office: Office) -> Counter[str]:
    """Log agents in, eight at a time, and return how many landed on each dialer."""
    placed = {phone.login: phone.server_ip for each in PLAN.agent_plans for phone in each.phones}
    agents = [PLAN.agent_plans[number] for number in REAL]
    with ThreadPoolExecutor(8) as pool:
        shown = list(pool.map(lambda each: office.web.log_in(each.user, each.alias), agents))
    return Counter(placed.get(each.phone_login, "VICIdial's own choice") for each in shown)


def _one_phone(number: int) -> tuple[str, str]:
    return f"nobody{number}", PLAN.agent_plans[number % 80].phones[number % 2].login


def _names(number: int) -> tuple[str, str]:
    return f"nobody{number}", "narrow"


def _idle_agents(number: int) -> tuple[str, str]:
    return PLAN.agent_plans[IDLE[number % len(IDLE)]].user, "narrow"


@pytest.mark.parametrize(
    ("form", "address"),
    [(_one_phone, "127.0.0.1"), (_names, "127.0.0.1"), (_idle_agents, STRANGER)],
    ids=["one phone", "made-up names, from the agents' own address", "names of agents, from elsewhere"],
)
def test_forms_without_a_password_steer_no_login(
    office: Office, form: Callable[[int], tuple[str, str]], address: str
) -> None:
    _forms(office, [form(number) for number in range(120)], address)
    assert sum(each.slots for each in office.hotdesk.dialers()) >= len(IDLE), "hotdesk was asked"
    landed = _landed(office)
    assert sum(max(0, count - len(REAL) // 3) for count in landed.values()) <= 2, landed


def test_a_failed_login_tells_what_it_would_without_hotdesk(office: Office) -> None:
    """Whatever was typed, byte for byte: no alias, no phone, no dialer."""
    agent = PLAN.agent_plans[0]
    typed = [agent.alias, agent.phones[0].login, ",".join(each.login for each in agent.phones), "nonsense"]
    forms = [(agent.user, each) for each in typed] + [("original_phone_login", agent.alias)]
    with_hook = _forms(office, forms, VD_campaign="original_phone_login")
    office.web.write("")
    without = _forms(office, forms, VD_campaign="original_phone_login")
    office.web.set_up(office.hotdesk.url)
    assert with_hook == without
    assert not any("hotdesk" in page for page in with_hook)
    assert office.web.log_in(agent.user, agent.alias).screen, "and a login that succeeds has its script"


def _moved(office: Office, number: int) -> str:
    """Log an agent in, have the session moved, and return the screen's mark once its order is there."""
    agent = PLAN.agent_plans[number]
    screen = office.web.log_in(agent.user, agent.alias).screen
    order = f"{PATH}/agents/{agent.user}/move"
    until(lambda: office.hotdesk.http.post(order, json={}).is_success, "the move is ordered")
    until(lambda: office.web.ask(screen)["order"], "there is an order")
    return screen


def test_an_order_is_of_whoever_has_the_mark_and_stays_theirs(office: Office) -> None:
    agent = PLAN.agent_plans[1]
    screen = _moved(office, 1)
    digest = hashlib.sha256(screen.encode()).hexdigest()
    said = b"".join(each.read_bytes() for each in office.log.parent.glob("log.db*"))
    assert digest.encode() in said
    assert screen.encode() not in said, "the mark itself stands nowhere"
    for known in (digest, "0" * 32):
        answer = office.hotdesk.http.post(f"{PATH}/relogins", json={"screen": known})
        assert answer.status_code == httpx.codes.NOT_FOUND, "whoever reads the log takes no order"
    # nor can anybody delete the place, or push it out
    assert office.hotdesk.http.delete(f"{PATH}/picks/{agent.user}").status_code == httpx.codes.NO_CONTENT
    _forms(office, [(agent.user, agent.phones[number % 2].login) for number in range(40)], STRANGER)
    assert office.web.answer(screen) == {"order": {"alias": agent.alias}}
    assert office.web.log_in(agent.user, agent.alias).logged_in
    until(lambda: all(each.slots == 0 for each in office.hotdesk.dialers()), "hotdesk has seen the new session")


def test_forms_in_an_agents_name_take_no_order_away_and_pin_no_agent(office: Office) -> None:
    """Before and after the agent's own form, from the same address and another, with all of the agent's phones."""
    agent = PLAN.agent_plans[2]
    typed = [each.login for each in agent.phones]
    for address in ("127.0.0.1", STRANGER):
        _forms(office, [(agent.user, each) for each in typed * 3], address)
    screen = office.web.log_in(agent.user, agent.alias).screen
    for address in ("127.0.0.1", STRANGER):
        _forms(office, [(agent.user, each) for each in typed * 3], address)
    order = f"{PATH}/agents/{agent.user}/move"
    until(lambda: office.hotdesk.http.post(order, json={}).is_success, "the move is ordered")
    until(lambda: office.web.ask(screen) == {"order": {"alias": agent.alias}}, "the agent's screen has its order")
    assert office.web.log_in(agent.user, agent.alias).logged_in
    until(lambda: all(each.slots == 0 for each in office.hotdesk.dialers()), "hotdesk has seen the new session")


def test_forms_in_the_names_of_agents_at_work_change_no_load(office: Office) -> None:
    agents = [PLAN.agent_plans[number] for number in range(6)]
    for each in agents:
        office.web.log_in(each.user, each.alias)
    until(lambda: sum(each.agents for each in office.hotdesk.dialers()) == len(agents), "they are counted")
    loads = {each.server_ip: each.load for each in office.hotdesk.dialers()}
    _forms(office, list(chain.from_iterable([(each.user, "narrow"), (each.user, each.alias)] for each in agents)))
    assert {each.server_ip: each.load for each in office.hotdesk.dialers()} == loads
    assert all(each.rank is not None for each in office.hotdesk.dialers())


def test_forms_that_come_to_nothing_are_counted(office: Office) -> None:
    _forms(office, [_names(number) for number in range(30)])
    until(lambda: office.hotdesk.metric("hotdesk_cluster_slots_unused") >= 30, "none of them became a login", 20)
