"""Every order leaves a decision that says who gave it, with which token, from where, what and why; no token in it."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec
import pytest

from hotdesk.settings import ApiOptions
from messages.codes import DecisionCode
from messages.records import Decision, Record
from tests.support.builders import ONE, THREE, TWO, dialer, secret_file, session
from tests.support.commands import Command
from tests.support.fed_service import TOKENS, FedService, bearer, problem, service_of
from tests.support.processes import CLUSTER, until

BASE = f"/v1/clusters/{CLUSTER}"


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[FedService]:
    """Yield a process that asks for tokens, and in it somebody who is logged in."""
    secret_file(tmp_path / "tokens", "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
    with service_of(tmp_path, ApiOptions(port=0, token_file=tmp_path / "tokens")) as service:
        made = FedService(service)
        made.http.headers.update(bearer("admin"))

        def logged_in(sequence: int) -> list[Record]:
            return [session("1001", ONE, sequence=sequence)]

        made.show(dialer(ONE, 1), dialer(TWO), dialer(THREE), records=logged_in)
        yield made
        made.client.close()


def told(floor: FedService, number: int) -> list[Decision]:
    """Return the decisions about so many orders, once they are known."""

    def found() -> list[Decision]:
        answer = floor.http.get(f"{BASE}/decisions")
        decisions = reversed(msgspec.json.decode(answer.content, type=list[Decision]))
        return [each for each in decisions if each.code in {DecisionCode.ORDERED, DecisionCode.ORDER_TAKEN_BACK}]

    until(lambda: len(found()) >= number, f"{number} orders are known")
    assert not any(token in repr(found()) for token in TOKENS.values())
    return found()


def mark_of(scope: str) -> str:
    """Return what stands for a token: how sha256sum begins."""
    return sha256(TOKENS[scope].encode()).hexdigest()[:6]


def test_every_order_by_the_api_says_who_what_when_and_why(floor: FedService) -> None:
    given = {"by": "anna", "why": "new kernel"}
    for method, path, what, subject in (
        ("POST", "pause", "ordered: pause", ""),
        ("DELETE", "pause", "took back: pause", ""),
        ("POST", f"dialers/{ONE}/drain", "ordered: drain", ONE),
        ("DELETE", f"dialers/{ONE}/drain", "took back: drain", ONE),
        ("POST", "agents/1001/move", "ordered: move", "1001"),
        ("POST", "resynchronise", "ordered: resynchronise", ""),
    ):
        before = len(told(floor, 0))
        with_body = method == "POST" and path != "resynchronise"
        said = {"json": given} if with_body else {"params": given}
        assert floor.http.request(method, f"{BASE}/{path}", **said).status_code == 202  # type: ignore[arg-type]
        decision = told(floor, before + 1)[-1]
        assert (decision.what, decision.subject, decision.why) == (what, subject, "new kernel")
        assert decision.actor == f"anna (token {mark_of('admin')}, 127.0.0.1)"
        assert decision.at_ms > 0


def test_an_incident_that_somebody_is_on_says_who(floor: FedService) -> None:
    floor.http.post(f"{BASE}/dialers/{ONE}/drain", json={})

    def incident() -> str:
        floor.show(dialer(ONE, 1), dialer(TWO), dialer(THREE))
        found = floor.http.get(f"{BASE}/incidents").json()
        return found[0]["incident"]["incident"] if found else ""

    name = until(incident, "the incident is open")
    floor.http.post(f"{BASE}/incidents/{name}/acknowledge", json={"by": "bob"})
    decision = told(floor, 2)[-1]
    assert (decision.what, decision.subject) == ("ordered: acknowledge", name)
    assert decision.actor.startswith("bob (token ")


def test_an_order_on_the_page_says_who_signed_in_and_with_what(floor: FedService) -> None:
    with httpx.Client(base_url=floor.client.url, trust_env=False) as http:
        http.post("/sign-in", data={"name": "Zoë", "token": TOKENS["admin"], "to": "/"})
        (mark, *_) = re.findall(r'name="mark" value="([^"]*)"', http.get(f"/clusters/{CLUSTER}").text)
        http.post(f"/clusters/{CLUSTER}/orders", data={"order": "pause ", "mark": mark, "why": "night", "sure": "1"})
        (decision,) = told(floor, 1)
        who = f"by Zoë (token {mark_of('admin')}, 127.0.0.1): night"
        until(lambda: who in http.get(f"/clusters/{CLUSTER}").text, "the page says who")
    assert (decision.actor, decision.why) == (f"Zoë (token {mark_of('admin')}, 127.0.0.1)", "night")


def test_an_order_by_command_says_who_ran_it(
    floor: FedService, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "carla")
    for words in (("pause", "--why", "test"), ("resume",), ("resynchronise",)):
        assert command(*words, "--api.url", floor.client.url, HOTDESK_TOKEN=TOKENS["admin"]).code == 0
    assert [each.actor for each in told(floor, 3)] == [f"carla (token {mark_of('admin')}, 127.0.0.1)"] * 3


def test_an_order_that_was_refused_is_counted_and_logged(floor: FedService, capsys: pytest.CaptureFixture[str]) -> None:
    refused = floor.http.post(f"{BASE}/pause", json={"by": "eve"}, headers=bearer("pick"))
    problem(refused, 403)
    with httpx.Client(base_url=floor.client.url, trust_env=False) as http:
        http.post("/sign-in", data={"name": "eve", "token": TOKENS["read"], "to": "/"})
        assert http.post(f"/clusters/{CLUSTER}/orders", data={"order": "pause "}).status_code == 403
    assert floor.client.metric("hotdesk_scope_refused_total") == 2
    said = capsys.readouterr()
    # the first of an address within a minute; all are counted
    assert f"token {mark_of('pick')}, 127.0.0.1" in said.out + said.err
    assert not any(token in said.out + said.err for token in TOKENS.values())
    assert told(floor, 0) == []


def test_without_tokens_the_address_is_told(tmp_path: Path) -> None:
    with service_of(tmp_path, ApiOptions(port=0)) as service:
        floor = FedService(service)
        floor.open(0, 0, 0)
        floor.http.post(f"{BASE}/pause", json={"by": "anna"})
        assert [each.actor for each in told(floor, 1)] == ["anna (127.0.0.1)"]
        floor.client.close()
