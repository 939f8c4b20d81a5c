"""The HTTP API of a running process: what it answers, what it refuses, and that every refusal is a problem document."""

import json
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import msgspec
import pytest
from litestar import get
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry

from collectors.leading import entry
from collectors.observer import Removal
from controller.api.app import create_app
from controller.api.schemas import IncidentAnswer
from controller.api.tokens import Tokens
from controller.core.policy import Policy
from hotdesk.cli.check import check_everything
from hotdesk.cli.times import local_clock
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, ClusterSettings, LogOptions
from hotdesk.version import VERSION
from messages.codec import decode
from messages.keys import key_of
from messages.records import Move, NotMoved, Record
from messages.topics import Topic
from stream.entries import entry_of
from tests.support.builders import NOW_MS, ONE, THREE, TWO, alias, alive, dialer, phone, poll, secret_file, session
from tests.support.fed_service import PICKS, TOKENS, FedService, bearer, problem, service_of
from tests.support.processes import CLUSTER, until
from tests.support.timing import on_this_machine

ROUTES = {
    "/metrics": "read",
    "/v1/clusters": "read",
    f"/v1/clusters/{CLUSTER}/ranking": "read",
    f"/v1/clusters/{CLUSTER}/aliases/desk/ranking": "read",
    f"/v1/clusters/{CLUSTER}/incidents": "read",
    f"/v1/clusters/{CLUSTER}/readiness": "read",
    f"/v1/clusters/{CLUSTER}/decisions": "read",
    f"/v1/clusters/{CLUSTER}/explanations/desk": "read",
}


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[FedService]:
    """Yield a process that asks for no tokens."""
    with service_of(tmp_path, ApiOptions(port=0)) as service:
        made = FedService(service)
        yield made
        made.client.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Yield a process that asks for tokens, for all tests that leave no trace in it."""
    tokens = tmp_path_factory.mktemp("house") / "tokens"
    secret_file(tokens, "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
    with service_of(tokens.parent, ApiOptions(port=0, token_file=tokens)) as service:
        with httpx.Client(base_url=service.url, trust_env=False) as http:
            until(lambda: http.get("/readyz").is_success, "the process is ready")
        yield service


POLLS = count(1)


@pytest.fixture
def http(house: Service) -> Iterator[httpx.Client]:
    """Yield a client without a token of that process, which has just had a poll of the cluster."""
    sequence = next(POLLS)
    at_ms = NOW_MS + 500 * sequence
    records = (
        phone("p1", sequence=sequence),
        alias("desk", "p1", sequence=sequence),
        poll(dialer(ONE, heartbeat=alive(at_ms)), sequence=sequence, at_ms=at_ms),
    )
    with httpx.Client(base_url=house.url, trust_env=False) as client:
        house.log.append([entry_of(record) for record in records])

        def shows() -> bool:
            answer = client.get(f"/v1/clusters/{CLUSTER}/ranking", headers=bearer("admin"))
            found = answer.json()
            return answer.is_success and found["sequence"] == sequence and found["owner"] == found["answered_by"]

        until(shows, "the poll shows")
        yield client


# --- rankings ---------------------------------------------------------------------------------------------------


def test_clusters_are_listed_with_their_age(floor: FedService) -> None:
    assert floor.http.get("/v1/clusters").json() == []
    floor.open(1, 2, 3)
    (cluster,) = floor.http.get("/v1/clusters").json()
    assert (cluster["cluster"], cluster["stale"], cluster["owned"]) == (CLUSTER, False, True)
    assert 0 <= cluster["age_ms"] < on_this_machine(5000)


def test_the_ranking_puts_the_least_loaded_first_and_says_why_not_the_others(floor: FedService) -> None:
    floor.show(dialer(ONE, 7), dialer(TWO, 3), dialer(THREE, 1, active=False, agent_logins=False))
    ranking = floor.client.ranking()
    assert ranking is not None
    assert [(each.server_ip, each.rank) for each in ranking.dialers] == [(TWO, 1), (ONE, 2), (THREE, None)]
    assert [why.value for why in ranking.dialers[2].ineligible_because] == [
        "switched_off",
        "closed",
    ]
    assert ranking.owner == ranking.answered_by
    assert ranking.imbalance == pytest.approx(1.4)
    assert ranking.database_unreachable_since_ms is None


def test_an_alias_is_ranked_phone_by_phone(floor: FedService) -> None:
    floor.open(5, 3, 4)
    ranking = floor.client.alias("desk")
    assert ranking is not None
    assert [(each.phone_login, each.rank, each.agents) for each in ranking.phones] == [
        ("p2", 1, 3),
        ("p3", 2, 4),
        ("p1", 3, 5),
    ]


def test_an_alias_without_a_usable_phone_says_why_not_for_each(floor: FedService) -> None:
    floor.open(0, 0, 0)
    ranking = floor.client.alias("dead")
    assert ranking is not None
    assert [
        (each.phone_login, each.rank, [why.value for why in each.ineligible_because]) for each in ranking.phones
    ] == [
        ("off", None, ["phone_inactive"]),
        ("nowhere", None, ["no_such_phone"]),
    ]


def test_a_phones_own_login_and_a_list_of_them_are_ranked_too(floor: FedService) -> None:
    floor.open(5, 3, 4)
    for typed, logins in (("p1", ["p1"]), ("p1,p3", ["p3", "p1"]), ("DESK", ["p2", "p3", "p1"])):
        ranking = floor.client.alias(typed)
        assert ranking is not None
        assert [each.phone_login for each in ranking.phones] == logins


# --- picks ------------------------------------------------------------------------------------------------------


def test_a_pick_is_the_least_loaded_and_the_same_when_asked_again(floor: FedService) -> None:
    floor.open(5, 3, 4)
    pick = floor.client.pick("1001", "desk", "SALES")
    assert (pick.phone_login, pick.server_ip, pick.degraded) == ("p2", TWO, False)
    floor.open(0, 9, 0)
    again = floor.client.pick("1001", "desk", "SALES")
    assert again.phone_login == "p2"
    ranking = floor.client.ranking()
    assert ranking is not None
    assert {each.server_ip: each.slots for each in ranking.dialers} == {ONE: 0, TWO: 1, THREE: 0}


def test_the_same_user_with_another_alias_gives_the_first_slot_back(floor: FedService) -> None:
    floor.open(5, 3, 4)
    floor.client.pick("1001", "desk")
    assert floor.client.pick("1001", "other").phone_login == "p1"
    ranking = floor.client.ranking()
    assert ranking is not None
    assert {each.server_ip: each.slots for each in ranking.dialers} == {ONE: 1, TWO: 0, THREE: 0}


def test_a_herd_spreads_between_two_polls(floor: FedService) -> None:
    floor.open(0, 0, 0)
    picks = [floor.client.pick(f"{user}", "desk").server_ip for user in range(1001, 1031)]
    assert {ip: picks.count(ip) for ip in (ONE, TWO, THREE)} == {ONE: 10, TWO: 10, THREE: 10}


def test_a_slot_is_used_up_when_the_agent_shows(floor: FedService) -> None:
    floor.open(0, 0, 0)
    picked = floor.client.pick("1001", "desk").server_ip

    def arrived(sequence: int) -> list[Record]:
        return [session("1001", picked, sequence=sequence)]

    floor.show(*(dialer(ip, int(ip == picked)) for ip in (ONE, TWO, THREE)), records=arrived)
    ranking = floor.client.ranking()
    assert ranking is not None
    assert {each.server_ip: (each.agents, each.slots) for each in ranking.dialers}[picked] == (1, 0)
    assert floor.client.metric("hotdesk_cluster_agents_placed") == 1


def test_a_released_slot_is_free_and_releasing_twice_is_no_mistake(floor: FedService) -> None:
    floor.open(0, 0, 0)
    floor.client.pick("1001", "desk")
    assert floor.client.metric("hotdesk_cluster_slots") == 1
    for _ in range(2):
        answer = floor.http.delete(f"{PICKS}/1001")
        assert (answer.status_code, answer.content) == (204, b"")
    assert floor.client.metric("hotdesk_cluster_slots") == 0


def test_who_never_read_the_agents_has_vicidial_choose(floor: FedService) -> None:
    """Every dialer would look empty. Dead ones are seen all the same."""
    blind = msgspec.structs.replace(poll(dialer(ONE, heartbeat=alive())), agents_known=False)
    records: list[Record] = [phone("p1", ONE), alias("desk", "p1"), blind]
    floor.log.append([entry_of(record) for record in records])
    until(lambda: floor.client.ranking() is not None, "the poll shows")
    refused = problem(floor.client.ask("1001", "desk"), 503)
    assert "its agents have not been read yet" in str(refused["detail"])
    assert floor.client.dialers()


def test_nothing_is_known_of_another_cluster_or_alias(floor: FedService) -> None:
    floor.open(0, 0, 0)
    body = {"user": "1001", "alias": "desk"}
    for answer in (
        floor.http.get("/v1/clusters/east/ranking"),
        floor.http.get("/v1/clusters/east/aliases/desk/ranking"),
        floor.http.post("/v1/clusters/east/picks", json=body),
        floor.http.delete("/v1/clusters/east/picks/1001"),
    ):
        found = problem(answer, 404)
        assert found["title"] == "unknown cluster"
        assert CLUSTER in str(found["detail"])
    for answer in (
        floor.http.get(f"/v1/clusters/{CLUSTER}/aliases/nobody/ranking"),
        floor.client.ask("1001", "nobody"),
    ):
        found = problem(answer, 404)
        assert (found["title"], found["code"]) == ("unknown alias", "unknown_alias")
        assert "'nobody'" in str(found["detail"])


def test_no_dialer_is_said_phone_by_phone(floor: FedService) -> None:
    floor.open(0, 0, 0)
    found = problem(floor.client.ask("1001", "dead"), 409)
    assert (found["title"], found["code"]) == ("no dialer", "no_dialer")
    assert found["phones"] == [
        {"phone_login": "off", "server_ip": ONE, "ineligible_because": ["phone_inactive"]},
        {"phone_login": "nowhere", "server_ip": "", "ineligible_because": ["no_such_phone"]},
    ]
    assert floor.client.metric("hotdesk_picks_total", outcome="refused") == 1


def test_a_full_dialer_is_not_offered(tmp_path: Path) -> None:
    policies = {CLUSTER: Policy(max_agents=4)}
    with service_of(tmp_path, ApiOptions(port=0), policies) as service:
        floor = FedService(service)
        floor.open(4, 4, 4)
        found = problem(floor.client.ask("1001", "desk"), 409)
        assert all(each["ineligible_because"] == ["full"] for each in found["phones"])  # type: ignore[attr-defined]
        floor.client.close()


def test_nothing_is_offered_when_no_poll_came_for_five_seconds(floor: FedService) -> None:
    floor.open(0, 0, 0)
    until(lambda: not floor.client.ask("1001", "desk").is_success, "picks are refused", 10.0)
    found = problem(floor.client.ask("1001", "desk"), 503)
    assert found["title"] == "stale"
    assert 5000 <= int(str(found["age_ms"])) < 10_000
    ranking, of_alias = floor.client.ranking(), floor.client.alias("desk")
    assert ranking is not None
    assert ranking.stale
    assert of_alias is not None
    assert of_alias.stale
    floor.open(0, 0, 0)
    assert floor.client.pick("1001", "desk").age_ms < on_this_machine(5000)


def test_an_agent_who_left_may_pick_anew(floor: FedService) -> None:
    def arrived(sequence: int) -> list[Record]:
        return [session("1001", ONE, sequence=sequence)]

    floor.open(0, 0, 0)
    floor.show(dialer(ONE, 1), records=arrived)
    floor.log.append([entry(Removal(key_of(session("1001", ONE)), 1, 3))])
    floor.show(dialer(ONE, 0))
    assert floor.client.metric("hotdesk_dialer_agents") == 0
    assert floor.client.pick("1001", "desk").server_ip == ONE


# --- what does not fit ------------------------------------------------------------------------------------------

GOOD = {"user": "1001", "alias": "desk"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body"),
        (b"{", "truncated"),
        (b"{} {}", "trailing"),
        (b"\xff\xfe", "malformed"),
        (b'{"user":"\xff","alias":"desk"}', "utf-8"),
        (b"null", "object"),
        (b"[]", "object"),
        (b'"desk"', "object"),
        (b"{}", "user"),
        (json.dumps({"user": "1001"}).encode(), "alias"),
        (json.dumps(GOOD | {"user": 1001}).encode(), "user"),
        (json.dumps(GOOD | {"user": ""}).encode(), "user"),
        (json.dumps(GOOD | {"user": "1" * 21}).encode(), "user"),
        (json.dumps(GOOD | {"alias": None}).encode(), "alias"),
        (json.dumps(GOOD | {"alias": "d" * 256}).encode(), "alias"),
        (json.dumps(GOOD | {"campaign": ["SALES"]}).encode(), "campaign"),
        (json.dumps(GOOD | {"campaign": "S" * 21}).encode(), "campaign"),
        (json.dumps(GOOD | {"server": ONE}).encode(), "server"),
        (b"[" * 30_000, "too deep"),
        (b'{"user":' * 5_000, "too deep"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_and_says_where(http: httpx.Client, body: bytes, said: str) -> None:
    found = problem(http.post(PICKS, content=body, headers=bearer("pick")), 400)
    assert said in str(found["detail"]).lower()
    assert http.post(PICKS, json=GOOD, headers=bearer("pick")).status_code == 201


def test_a_huge_body_is_refused(http: httpx.Client) -> None:
    problem(http.post(PICKS, content=json.dumps(GOOD | {"alias": "d" * 200_000}), headers=bearer("pick")), 413)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", "nonsense"])
def test_another_content_type_is_read_as_json_or_refused(http: httpx.Client, kind: str) -> None:
    problem(http.post(PICKS, content=b"user=1001&alias=desk", headers=bearer("pick") | {"content-type": kind}), 400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1", 404),
        ("GET", "/v1/clusters/west", 405),
        ("GET", "/v1/clusters/west/rankings", 404),
        ("GET", "/openapi/nothing", 404),
        ("GET", "/%ff%fe", 404),
        ("GET", "/v1/clusters/%ff/ranking", 404),
        ("GET", "/v1/clusters/%2e%2e/ranking", 404),
        ("DELETE", PICKS, 405),
        ("GET", PICKS, 405),
        ("POST", "/v1/clusters", 405),
        ("PUT", f"/v1/clusters/{CLUSTER}/ranking", 405),
    ],
)
def test_what_is_not_there_is_a_problem_document(http: httpx.Client, method: str, path: str, status: int) -> None:
    problem(http.request(method, path, headers=bearer("admin")), status)


def test_a_mistake_of_ours_is_a_problem_document_that_gives_nothing_away() -> None:
    @get("/broken")
    async def broken() -> None:
        raise ValueError("the-inside")

    app = create_app(
        version=VERSION, tokens=Tokens({}), registry=CollectorRegistry(), doubts=lambda: (), routes=[broken]
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert "the-inside" not in answer.text
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Internal Server Error"


def test_bytes_that_are_no_http_do_not_stop_it(http: httpx.Client) -> None:
    address = http.base_url
    with socket.create_connection((address.host, address.port or 0), timeout=5) as connection:
        connection.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert http.get("/healthz").is_success


# --- tokens -----------------------------------------------------------------------------------------------------


def _refused(http: httpx.Client) -> float:
    lines = http.get("/metrics", headers=bearer("read")).text.splitlines()
    return float(next(line for line in lines if line.startswith("hotdesk_tokens_refused_total ")).split()[1])


@pytest.mark.parametrize("path", ROUTES)
def test_reading_needs_any_token(http: httpx.Client, path: str) -> None:
    before = _refused(http)
    refused = http.get(path)
    assert _refused(http) == before + 1
    problem(refused, 401)
    assert refused.headers["www-authenticate"] == "Bearer"
    for scope in TOKENS:
        assert http.get(path, headers=bearer(scope)).is_success


def test_picking_and_releasing_need_a_token_of_scope_pick(http: httpx.Client) -> None:
    for headers, status in (({}, 401), (bearer("read"), 403), (bearer("pick"), 201), (bearer("admin"), 201)):
        answer = http.post(PICKS, json=GOOD, headers=headers)
        assert answer.status_code == status
        if not answer.is_success:
            problem(answer, status)
    for headers, status in (({}, 401), (bearer("read"), 403), (bearer("pick"), 204), (bearer("admin"), 204)):
        assert http.delete(f"{PICKS}/1001", headers=headers).status_code == status
    assert "'pick'" in str(problem(http.post(PICKS, json=GOOD, headers=bearer("read")), 403)["detail"])


def test_a_paused_cluster_says_so_until_it_goes_on(floor: FedService) -> None:
    floor.open(1, 1, 1)
    paused = f"/v1/clusters/{CLUSTER}/pause"
    assert floor.http.post(paused, json={"by": "anna", "why": "release night"}).status_code == 202
    until(lambda: (found := floor.client.ranking()) and found.paused_by == "anna", "the pause shows")
    assert floor.http.delete(paused).status_code == 202
    until(lambda: (found := floor.client.ranking()) and found.paused_by == "", "the pause is over")


def test_a_drained_dialer_is_not_offered_and_its_agents_are_advised_to_move(floor: FedService) -> None:
    floor.open(1, 0, 0)
    drain = f"/v1/clusters/{CLUSTER}/dialers/{ONE}/drain"
    assert floor.http.post(drain, json={"by": "anna", "why": "new kernel"}).status_code == 202

    def agent_on_one(sequence: int) -> list[Record]:
        extension = msgspec.structs.replace(phone("p1", sequence=sequence), extension="1001", protocol="SIP")
        return [extension, msgspec.structs.replace(session("1001", sequence=sequence), extension="SIP/1001")]

    def incidents() -> list[IncidentAnswer]:
        floor.show(dialer(ONE, 1), dialer(TWO), dialer(THREE), records=agent_on_one)
        answer = floor.http.get(f"/v1/clusters/{CLUSTER}/incidents")
        return msgspec.json.decode(answer.content, type=list[IncidentAnswer])

    (found,) = until(incidents, "the incident is open")
    assert (found.incident.server_ip, found.incident.kind.value) == (ONE, "draining")
    assert ONE not in floor.client.offered()
    # two aliases hold that phone, so nobody knows which one the agent used
    assert [(each.user, each.why) for each in found.incident.listed] == [("1001", NotMoved.AMBIGUOUS)]
    assert floor.http.delete(drain).status_code == 202
    until(lambda: all(each.incident.closed_at_ms for each in incidents()), "the incident is closed")
    assert ONE in floor.client.offered()


def test_an_agent_is_moved_by_order_and_it_stays_advice(floor: FedService) -> None:
    floor.open(0, 1, 0)
    floor.show(dialer(ONE), dialer(TWO, 1), dialer(THREE), records=lambda n: [session("1001", TWO, sequence=n)])
    move = f"/v1/clusters/{CLUSTER}/agents/1001/move"
    assert floor.http.post(move, json={"by": "anna"}).status_code == 202
    problem(floor.http.post(f"/v1/clusters/{CLUSTER}/agents/1002/move", json={}), 404)
    orders = until(lambda: floor.log.latest(Topic.ORDERS, CLUSTER), "the order is in the log")
    order = decode(Topic.ORDERS, orders[f"{CLUSTER}/move/1001"].value or b"")
    assert isinstance(order, Move)
    assert (order.by, order.live_agent_id) == ("anna", 1)


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("pause", {"by": ""}, "Expected `str` of length >= 1"),
        ("pause", {"wy": "?"}, "unknown field"),
        ("dialers/10.9.9.9/drain", {}, "has no dialer '10.9.9.9'"),
        ("incidents/x@1/acknowledge", {"silence_minutes": -1}, "Expected `int` >= 0"),
        ("incidents/x@1/acknowledge", {}, "'x@1' is not open"),
        ("unbrake", {}, "no fleet brake holds"),
    ],
)
def test_an_order_that_does_not_fit_is_refused_with_the_reason(
    floor: FedService, path: str, body: dict[str, object], said: str
) -> None:
    floor.open(1, 1, 1)
    answer = floor.http.post(f"/v1/clusters/{CLUSTER}/{path}", json=body)
    assert said in str(problem(answer, answer.status_code)["detail"])
    assert floor.log.latest(Topic.ORDERS, CLUSTER) == {}


def test_ordering_needs_a_token_of_scope_admin(http: httpx.Client, house: Service) -> None:
    path = f"/v1/clusters/{CLUSTER}/resynchronise"
    for headers, status in (({}, 401), (bearer("pick"), 403)):
        problem(http.post(path, headers=headers), status)
    log = house.log
    assert not log.latest(Topic.ORDERS, CLUSTER)
    assert http.post(path, headers=bearer("admin")).status_code == 202
    until(lambda: f"{CLUSTER}/resynchronise" in log.latest(Topic.ORDERS, CLUSTER), "the order to be in the log")


@pytest.mark.parametrize(
    "authorization",
    [
        f"Bearer {'x' * 20}",
        f"Bearer {TOKENS['pick'][:-1]}",
        f"Bearer {TOKENS['pick']}x",
        f"Basic {TOKENS['pick']}",
        TOKENS["pick"],
        "Bearer",
        "",
    ],
)
def test_anything_but_a_known_bearer_token_is_refused(http: httpx.Client, authorization: str) -> None:
    http.headers.update({"authorization": authorization})
    for answer in (http.get("/v1/clusters"), http.post(PICKS, json=GOOD)):
        found = problem(answer, 401)
        assert TOKENS["pick"][:-1] not in json.dumps(found)


def test_health_and_readiness_need_no_token(http: httpx.Client) -> None:
    assert http.get("/healthz").json()["status"] == "ok"
    assert http.get("/readyz").json()["status"] == "ready"


# --- about the process ------------------------------------------------------------------------------------------


def test_health_names_the_version(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok", "version": VERSION, "why": []}


def test_metrics_tell_the_state_of_the_cluster_and_the_work_done(floor: FedService) -> None:
    floor.open(5, 3, 4)
    floor.client.pick("1001", "desk")
    metric = floor.client.metric
    assert metric("hotdesk_dialer_agents", server_ip=ONE, status="READY") == 5
    assert metric("hotdesk_dialer_agents", server_ip=ONE, status="INCALL") == 0
    assert metric("hotdesk_dialer_rank", server_ip=ONE) == 3
    assert metric("hotdesk_dialer_eligible") == 3
    assert metric("hotdesk_dialer_slots", server_ip=TWO) == 1
    assert metric("hotdesk_cluster_owned", cluster=CLUSTER) == 1
    assert metric("hotdesk_cluster_database_up", cluster=CLUSTER) == 1
    assert metric("hotdesk_picks_total", outcome="picked") == 1
    assert metric("hotdesk_dialer_places_free", server_ip=TWO) == metric("hotdesk_dialer_rooms_free", server_ip=TWO) > 0
    assert metric("hotdesk_role", role="control", log="file") == 1
    assert metric("hotdesk_pick_seconds_count") == 1
    assert metric("hotdesk_records_folded_total", result="folded") >= 8
    assert metric("hotdesk_build_info", version=VERSION) == 1


def test_the_login_hook_of_each_web_server_is_seen_to_ask(floor: FedService, tmp_path: Path) -> None:
    floor.open(1, 2, 3)
    clusters = {CLUSTER: ClusterSettings(port=1)}
    api = ApiOptions(port=0, url=floor.client.url)

    def said() -> list[str]:
        return [each.what for each in check_everything(LogOptions(path=tmp_path / "none"), api, clusters)]

    assert "no login hook was seen within a day" in said()
    for web in ("web1", "<script>", "web1"):
        floor.http.post(PICKS, json={"user": "1001", "alias": "desk"}, headers={"x-hotdesk-hook": web})
    floor.http.post(f"/v1/clusters/{CLUSTER}/relogins", json={"screen": "a" * 64}, headers={"x-hotdesk-hook": "web2"})
    ranking = floor.client.ranking()
    assert ranking
    assert {each.web for each in ranking.hooks} == {"web1", "web2"}
    seen_at = floor.client.metric("hotdesk_hook_seen_timestamp_seconds", web="web1")
    assert seen_at == pytest.approx(NOW_MS / 1000, abs=60)
    assert [each for each in said() if "login hook" in each] == [
        f"the login hook of {web} was last seen at {local_clock(NOW_MS)}" for web in ("web1", "web2")
    ]


def test_what_only_goes_wrong_later_is_counted_from_the_start(floor: FedService) -> None:
    floor.open(0, 0, 0)
    text = floor.http.get("/metrics").text
    for series in (
        f'hotdesk_records_folded_total{{cluster="{CLUSTER}",result="dead"}} 0.0',
        f'hotdesk_picks_total{{cluster="{CLUSTER}",outcome="refused"}} 0.0',
    ):
        assert series in text.splitlines()


def test_max_agents_limits_the_places_that_are_free(tmp_path: Path) -> None:
    with service_of(tmp_path, ApiOptions(port=0), {CLUSTER: Policy(max_agents=4)}) as service:
        floor = FedService(service)
        floor.open(3, 4, 5)
        free = {ip: floor.client.metric("hotdesk_dialer_places_free", server_ip=ip) for ip in (ONE, TWO, THREE)}
        assert free == {ONE: 1, TWO: 0, THREE: 0}
        floor.client.close()


def test_the_openapi_document_names_every_route(http: httpx.Client) -> None:
    answer = http.get("/openapi/openapi.json")
    assert answer.is_success
    document = answer.json()
    assert document["openapi"].startswith("3.")
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} >= {
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
        ("/v1/clusters", "get"),
        ("/v1/clusters/{cluster}/ranking", "get"),
        ("/v1/clusters/{cluster}/aliases/{alias}/ranking", "get"),
        ("/v1/clusters/{cluster}/picks", "post"),
        ("/v1/clusters/{cluster}/picks/{user}", "delete"),
    }
    assert "PickAnswer" in document["components"]["schemas"]


def test_an_address_of_ipv6_is_told_as_an_address(tmp_path: Path) -> None:
    with service_of(tmp_path, ApiOptions(host="::1", port=0)) as service:
        assert service.url.startswith("http://[::1]:")
        with httpx.Client(base_url=service.url, trust_env=False) as http:
            assert http.get("/healthz").is_success


def test_tokens_are_changed_without_a_restart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokens, said = tmp_path / "tokens", list[str]()
    secret_file(tokens, "read first-token-of-readers\n")
    with (
        service_of(tmp_path, ApiOptions(port=0, token_file=tokens)) as service,
        httpx.Client(base_url=service.url, trust_env=False) as http,
    ):

        def allowed(token: str) -> bool:
            return http.get("/v1/clusters", headers={"authorization": f"Bearer {token}"}).is_success

        def warned() -> bool:
            assert allowed("second-token-of-readers")
            said.append(capsys.readouterr().out)
            return "the token file changed and cannot be used" in "".join(said)

        until(lambda: allowed("first-token-of-readers"), "the process is ready")
        secret_file(tokens, "read second-token-of-readers\n")
        until(lambda: allowed("second-token-of-readers"), "the file is read again")
        assert not allowed("first-token-of-readers")
        # one that all may read is not taken, until its mode is mended: the text need not change again
        new = tmp_path / "new"
        new.write_text("read third-token-of-readers\nread second-token-of-readers\n")
        new.chmod(0o644)
        new.replace(tokens)
        until(warned, "it is said")
        assert f"chmod o-r {tokens}" in "".join(said)
        assert not allowed("third-token-of-readers")
        tokens.chmod(0o440)
        until(lambda: allowed("third-token-of-readers"), "the mode is seen")
        said.clear()
        # a slip of the pen locks nobody out
        secret_file(tokens, "reed fourth-token-of-readers\n")
        until(warned, "it is said")
        assert "fourth-token" not in "".join(said)
