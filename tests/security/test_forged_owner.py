"""Whoever can write to the log names the owner of a cluster: they get no token, and no agent goes where they say."""

import asyncio
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Self

import msgspec
import pytest
from structlog.testing import capture_logs

from controller.api.guesses import FREE
from controller.api.owner_client import OwnerClient
from controller.api.proofs import FRESH_SECONDS, Asked, cannot_tell, prove, proved
from controller.api.schemas import PickAnswer, PickBody, ReloginAnswer
from controller.api.tokens import Tokens, digest_of
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages.records import RankingSnapshot
from stream.entries import entry_of
from tests.support.builders import NOW_MS, ONE, TWO, alias, alive, dialer, phone, poll, secret_file
from tests.support.fed_service import PICKS, TOKENS, FedService, bearer, service_of
from tests.support.processes import CLUSTER, Client, until

TOKEN = TOKENS["pick"]
ASKED = Asked("http://owner:8470", "POST", f"/v1/clusters/{CLUSTER}/picks", b'{"user":"1001"}')
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = "".join(f"{scope} {token}\n" for scope, token in TOKENS.items())
    return secret_file(tmp_path_factory.mktemp("tokens") / "tokens", text)


class Rogue:
    """The owner that a forged record names: it keeps what it hears, and answers with a phone of its own choice."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        rogue = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                rogue.heard.append(f"{self.path}\n{self.headers}\n{body.decode()}")
                phone_login, server_ip = "rogue", "203.0.113.9"
                answer: object = PickAnswer(
                    cluster=CLUSTER,
                    user="1001",
                    alias="desk",
                    phone_login=phone_login,
                    server_ip=server_ip,
                    age_ms=1,
                    degraded=False,
                    answered_by="owner",
                )
                if self.path.endswith("relogins"):
                    answer = ReloginAnswer(
                        cluster=CLUSTER, user="1001", alias="desk", phone_login=phone_login, server_ip=server_ip
                    )
                content = msgspec.json.encode(answer)
                self.send_response(201)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log no request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def replica(tmp_path: Path, token_file: Path) -> Iterator[tuple[Client, Rogue]]:
    """Yield a replica that believes in a rogue owner, and the rogue."""
    log = LogOptions(path=tmp_path / "log.db", partitions=4)
    api = ApiOptions(port=0, token_file=token_file)
    wanted = Wanted(roles=frozenset({Role.SERVE}), log=log, api=api, databases={}, policies={})
    with Rogue() as rogue, Service(wanted) as service:
        forged = RankingSnapshot(
            cluster=CLUSTER,
            epoch=1,
            sequence=1,
            observed_at_ms=NOW_MS,
            owner="rogue",
            owner_url=rogue.url,
            dialers=(),
            imbalance=None,
        )
        dialers = (dialer(ONE, heartbeat=alive()), dialer(TWO, heartbeat=alive()))
        records = (phone("p1", ONE), phone("p2", TWO), alias("desk", "p1", "p2"), poll(*dialers), forged)
        service.log.append([entry_of(each) for each in records])
        client = Client(service.url)
        client.http.headers["authorization"] = f"Bearer {TOKENS['admin']}"
        until(lambda: (found := client.ranking()) and found.owner == "rogue", "the forged record is believed")
        yield client, rogue
        client.close()


def test_a_forged_owner_gets_no_token_and_chooses_no_phone(replica: tuple[Client, Rogue]) -> None:
    client, rogue = replica
    body = {"user": "1001", "alias": "desk"}

    def picked() -> object:
        answer = client.http.post(PICKS, json=body, headers=bearer("pick"))
        return rogue.heard and answer

    answer = until(picked, "the rogue is asked")
    assert answer.json().get("phone_login") != "rogue"  # type: ignore[attr-defined]
    assert "203.0.113.9" not in answer.text  # type: ignore[attr-defined]
    relogin = client.http.post(f"/v1/clusters/{CLUSTER}/relogins", json={"screen": "s" * 32}, headers=bearer("pick"))
    assert "rogue" not in relogin.text
    heard = "\n".join(rogue.heard)
    assert "authorization" in heard.lower()
    assert TOKEN not in heard
    for line in heard.splitlines():
        if line.lower().startswith("authorization: "):
            # and with what it heard it can ask for nothing else
            stolen = {"authorization": line.partition(": ")[2]}
            assert client.http.get("/v1/clusters", headers=stolen).status_code == 401
            assert client.http.post(PICKS, json=body | {"user": "1002"}, headers=stolen).status_code == 401
    # nor send on elsewhere what it heard
    for each in rogue.heard:
        head, _, sent = each.rpartition("\n")
        path, *lines = head.splitlines()
        headers = {
            name: value
            for name, _, value in (line.partition(": ") for line in lines)
            if name.lower() not in {"", "host"}
        }
        answer = client.http.post(path, content=sent, headers=headers)
        assert answer.status_code == 401


def test_an_owner_believes_a_replica_that_was_shown_a_token(tmp_path: Path, token_file: Path) -> None:
    with service_of(tmp_path, ApiOptions(port=0, token_file=token_file)) as service:
        fed = FedService(service)
        fed.http.headers["authorization"] = f"Bearer {TOKENS['admin']}"
        fed.open(0, 0, 0)

        async def ask(authorization: str) -> object:
            owners = OwnerClient()
            try:
                return await owners.pick(service.url, CLUSTER, PickBody(user="1001", alias="desk"), authorization)
            finally:
                await owners.close()

        picked = until(lambda: asyncio.run(ask(f"Bearer {TOKEN}")), "the owner picks in time")
        assert isinstance(picked, PickAnswer)
        assert asyncio.run(ask("Bearer not-a-token-of-the-file")) is None
        assert asyncio.run(ask(f"Bearer {TOKENS['read']}")) is None
        fed.client.close()


def test_a_proof_is_good_for_one_request_and_a_while(token_file: Path) -> None:
    tokens = Tokens.load(token_file)
    proof = prove(f"Bearer {TOKEN}", ASKED, NOW)
    found = proved(proof, ASKED, tokens, NOW)
    assert found is not None
    assert found[0] == tokens.fingerprint_of(f"Bearer {TOKEN}")
    assert tokens.scope_of(proof) is None
    for asked in (
        ASKED._replace(owner_url="http://another:8470"),
        ASKED._replace(method="DELETE"),
        ASKED._replace(path=f"{ASKED.path}/1001"),
        ASKED._replace(body=b'{"user":"1002"}'),
    ):
        assert proved(proof, asked, tokens, NOW) is None
    for now in (NOW - FRESH_SECONDS - 1, NOW + FRESH_SECONDS + 1):
        assert proved(proof, ASKED, tokens, now) is None
    kind, _, content = proof.partition(" ")
    fingerprint, at, mac = content.split(".")
    for forged in (
        f"{fingerprint}.{int(at) + 1}.{mac}",
        f"{fingerprint}.{at}.{mac[:-1]}",
        f"{fingerprint}.{at}.",
        f"{fingerprint}.²{at}.{mac}",
        f"{fingerprint}.{'9' * 5000}.{mac}",
        "..",
        "",
    ):
        assert proved(f"{kind} {forged}", ASKED, tokens, time.time()) is None


@pytest.fixture(scope="module")
def digest_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = "".join(f"{scope} sha256:{digest_of(token)}\n" for scope, token in TOKENS.items())
    return secret_file(tmp_path_factory.mktemp("digests") / "tokens", text)


def test_who_has_only_the_digest_of_a_token_can_prove_nothing(digest_file: Path) -> None:
    of_digests = Tokens.load(digest_file)
    proof = prove(f"Bearer {TOKEN}", ASKED, NOW)
    assert proved(proof, ASKED, of_digests, NOW) is None
    assert cannot_tell(proof, of_digests)
    # what can be checked, and what names no token at all, is a guess
    assert not cannot_tell(prove("Bearer not-a-token-of-the-file", ASKED, NOW), of_digests)
    assert not cannot_tell(f"Bearer {TOKEN}", of_digests)


def test_by_a_digest_no_owner_is_asked_and_none_takes_a_replica_for_a_guesser(
    tmp_path: Path, digest_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.api.owner_client.OWNER_SECONDS", 5.0)
    body = PickBody(user="1001", alias="desk")

    async def ask(url: str, owners: OwnerClient) -> object:
        try:
            return await owners.pick(url, CLUSTER, body, f"Bearer {TOKEN}")
        finally:
            await owners.close()

    with Rogue() as rogue:
        assert asyncio.run(ask(rogue.url, OwnerClient(tokens=Tokens.load(digest_file)))) is None
        assert not rogue.heard
    with service_of(tmp_path, ApiOptions(port=0, token_file=digest_file)) as service, capture_logs() as lines:
        for _ in range(FREE.at_once + 1):
            # of a replica whose own file has the token
            assert asyncio.run(ask(service.url, OwnerClient())) is None
        refused = service.registry.get_sample_value("hotdesk_tokens_refused_total")
        assert refused == 0
    assert not [each for each in lines if "unknown token" in each["event"]]
