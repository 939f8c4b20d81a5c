"""Secrets stay where they are: hotdesk runs with a marked one of each kind, right and wrong, and no output has a mark.

/proc/PID/environ is left out: secrets may come by environment, and that file is for the process's own user and root
only. So is the token file itself.
"""

import base64
import html
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from collectors.probes.ami import AmiTarget
from hotdesk.settings import LogOptions, Options, clusters
from simulator.agent_api import FakeAgentApi
from simulator.agents import Habits
from tests.support import ami_manager as manager
from tests.support.builders import secret_file
from tests.support.commands import Command
from tests.support.processes import ACT, CLUSTER, Process, Site, Start, grants, until

MARK, PLAIN_MARK = "m4rk!@#\N{LATIN SMALL LETTER E WITH ACUTE}d5ecre7", "m4rkd5ecre7"
"""The second is the first as VICIdial's filters leave it; tokens have it, which are of letters and digits."""
KINDS = dict.fromkeys(("database", "ami", "agent-api", "sasl"), MARK) | dict.fromkeys(
    ("read", "pick", "admin"), PLAIN_MARK
)
RIGHT = {kind: f"right-{kind}-{mark}-{number}" for number, (kind, mark) in enumerate(KINDS.items())}
WRONG = {kind: f"wrong-{kind}-{mark}-{number}" for number, (kind, mark) in enumerate(KINDS.items())}
"""A wrong password is a right one with a slip of the pen."""
AT_WORK = Habits(arrival=(0, 1), session=(10_000, 10_000), relogin=(0.3, 0.8))
FORMS = {
    MARK,
    PLAIN_MARK,
    "m4rk\N{LATIN SMALL LETTER E WITH ACUTE}d5ecre7",  # as api.php leaves it where VICIdial is not set to latin
    quote(MARK),
    repr(MARK.encode())[2:-1],
    json.dumps(MARK)[1:-1],
    html.escape(MARK.encode("ascii", "xmlcharrefreplace").decode()),
}
MARKS = [
    form
    for raw in (each.encode() for each in FORMS)
    for form in (raw, *(base64.b64encode(b"x" * shift + raw)[4:-4] for shift in range(3)), raw.hex().encode())
]
"""What is looked for: the mark itself and what is made of it, in base64 wherever it may begin, and in hex."""


def assert_unmarked(what: str, content: bytes) -> None:
    """Search for every form of the mark."""
    for mark in MARKS:
        at = content.find(mark)
        assert at < 0, f"{what} holds a secret: {content[max(0, at - 80) : at + 60]!r}"


def settings_of(site: Site, agent_api: FakeAgentApi, ami: manager.Manager, folder: Path) -> str:
    """Write the TOML file of a cluster that uses every kind of secret; they come by environment."""
    asked, *others = (each.server_ip for each in site.plan.dialer_plans)
    silent = "".join(f'[clusters.{CLUSTER}.probes."{each}"]\nami = false\n' for each in others)
    return f"""
[log]
path = "{folder / "hotdesk.db"}"
[api]
port = 0
token_file = "{folder / "tokens"}"
[clusters.{CLUSTER}]
mode = "act"
agent_api = ["{agent_api.url}"]
agent_api_user = "{agent_api.user}"
ami_user = "{manager.USER}"
sip = false
[clusters.{CLUSTER}.probes."{asked}"]
ami_host = "{manager.HOST}"
ami_port = {ami.port}
{silent}"""


def environment_of(site: Site, secrets: dict[str, str]) -> dict[str, str]:
    prefix = f"HOTDESK_CLUSTERS__{CLUSTER.upper()}__"
    return site.environment | {
        f"{prefix}PASSWORD": secrets["database"],
        f"{prefix}AMI_SECRET": secrets["ami"],
        f"{prefix}AGENT_API_PASSWORD": secrets["agent-api"],
        "HOTDESK_LOG_SASL_PASSWORD": secrets["sasl"],
        "HOTDESK_TOKEN": secrets["admin"],
    }


@pytest.fixture
def agent_api(west: Site) -> Iterator[FakeAgentApi]:
    """Yield the agent API of a cluster whose account may act."""
    west.run(*grants(west, ACT), f"ALTER USER '{west.user}'@'%' IDENTIFIED BY '{RIGHT['database']}'")
    with FakeAgentApi(west.connect, user="hotdesk", password=RIGHT["agent-api"]) as made:
        yield made


@pytest.fixture
def ami(monkeypatch: pytest.MonkeyPatch) -> Iterator[manager.Manager]:
    """Yield a dialer's manager that knows the right secret."""
    monkeypatch.setattr(manager, "SECRET", RIGHT["ami"])
    with manager.Manager() as made:
        yield made


def ask_everything(url: str, tokens: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    """Ask whatever may be asked, rightly and wrongly, and give what was answered, headers and all."""
    with httpx.Client(base_url=url, trust_env=False) as http:
        for kind, token in {**tokens, "nobody": "nobody", "basic": f"Basic {tokens['admin']}"}.items():
            http.headers["authorization"] = token if " " in token else f"Bearer {token}"
            base = f"/v1/clusters/{CLUSTER}"
            for method, path, body in (
                ("GET", "/metrics", None),
                ("GET", "/openapi/openapi.json", None),
                ("GET", "/v1/clusters", None),
                ("GET", f"{base}/ranking", None),
                ("GET", f"{base}/decisions", None),
                ("GET", f"{base}/incidents", None),
                ("GET", f"{base}/readiness", None),
                ("GET", "/v1/clusters/nowhere/ranking", None),
                ("POST", f"{base}/picks", {"user": "1001", "alias": "nobody"}),
                ("POST", f"{base}/picks", {"user": 1}),
                ("POST", f"{base}/pause", {"by": "anna"}),
                ("DELETE", f"{base}/pause", None),
                ("POST", f"{base}/resynchronise", None),
            ):
                answer = http.request(method, path, json=body)
                yield f"{method} {path} with {kind}", repr(answer.headers).encode() + answer.content
        del http.headers["authorization"]
        for token in tokens.values():
            answer = http.post("/sign-in", data={"name": "anna", "token": token, "to": "/"})
            # what the browser keeps is signed with the token, and does not hold it
            yield "the cookie", repr(answer.headers).encode() + answer.content
            for path in ("/", f"/clusters/{CLUSTER}", "/sign-in", "/clusters/nowhere"):
                page = http.get(path)
                yield f"page {path}", repr(page.headers).encode() + page.content
            yield "an order", http.post(f"/clusters/{CLUSTER}/orders", data={"order": "pause "}).content


def all_said(process: Process, folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what a process has written anywhere, and what others see of it."""
    yield "its command line", Path(f"/proc/{process.pid}/cmdline").read_bytes()
    yield "standard error", process.said.read_bytes()
    yield "standard output", process.printed.read_bytes()
    for file in folder.glob("hotdesk.db*"):
        yield f"the log's file {file.name}", file.read_bytes()


def order_a_move(process: Process, west: Site) -> None:
    """Have an agent moved, so that hotdesk speaks to VICIdial; the process is asked as an admin from then on."""
    admin = process.client.http
    admin.headers["authorization"] = f"Bearer {RIGHT['admin']}"
    move = f"/v1/clusters/{CLUSTER}/agents/{west.plan.agent_plans[0].user}/move"
    until(lambda: admin.post(move, json={"by": "anna"}).is_success, "the move is ordered")


def test_right_secrets_appear_nowhere(
    start: Start, west: Site, agent_api: FakeAgentApi, ami: manager.Manager, tmp_path: Path
) -> None:
    secret_file(tmp_path / "tokens", "".join(f"{kind} {RIGHT[kind]}\n" for kind in ("read", "pick", "admin")))
    (tmp_path / "hotdesk.toml").write_text(settings_of(west, agent_api, ami, tmp_path))
    with west.living(habits=AT_WORK):
        process = start("run", environment=environment_of(west, RIGHT))
        until(lambda: ami.pings, "a dialer is asked by AMI")
        order_a_move(process, west)
        until(lambda: agent_api.asked, "the agent API is asked")
        tokens = {kind: RIGHT[kind] for kind in ("read", "pick", "admin")}
        for what, said in ask_everything(process.client.url, tokens):
            assert_unmarked(what, said)
        for what, said in ask_everything(process.client.url, {kind: WRONG[kind] for kind in tokens}):
            assert_unmarked(what, said)
        for what, said in all_said(process, tmp_path):
            assert_unmarked(what, said)


def test_wrong_secrets_are_complained_about_without_them(
    start: Start, west: Site, agent_api: FakeAgentApi, ami: manager.Manager, tmp_path: Path
) -> None:
    secret_file(tmp_path / "tokens", f"admin {RIGHT['admin']}\n")
    (tmp_path / "hotdesk.toml").write_text(settings_of(west, agent_api, ami, tmp_path))
    # the database lets nobody in; the manager and the agent API are asked where it does
    nobody = start("run", environment=environment_of(west, WRONG))
    until(lambda: [line for line in nobody.lines() if "ccess denied" in str(line)], "the database's refusal is logged")
    for what, said in all_said(nobody, tmp_path):
        assert_unmarked(what, said)
    nobody.close()
    with west.living(habits=AT_WORK):
        process = start("run", environment=environment_of(west, WRONG | {"database": RIGHT["database"]}))
        until(lambda: ami.logins, "a dialer's manager refuses the secret")
        order_a_move(process, west)
        paused = until(lambda: (found := process.client.ranking()) and found.paused_by, "VICIdial's refusal")
        assert paused == "hotdesk"
        decided = f"/v1/clusters/{CLUSTER}/decisions"
        until(lambda: "Invalid Username/Password" in process.client.http.get(decided).text, "it stands in the log")
        assert_unmarked("what was decided", process.client.http.get(decided).content)
        for what, said in all_said(process, tmp_path):
            assert_unmarked(what, said)


def test_commands_tell_no_secret(
    command: Command, west: Site, agent_api: FakeAgentApi, ami: manager.Manager, tmp_path: Path
) -> None:
    secret_file(tmp_path / "tokens", f"admin {RIGHT['admin']}\nadmin {WRONG['admin']} too many words\n")
    (tmp_path / "hotdesk.toml").write_text(settings_of(west, agent_api, ami, tmp_path))
    kafka = (
        *("--log.bootstrap", "127.0.0.1:1", "--log.security-protocol", "SASL_PLAINTEXT"),
        *("--log.sasl-mechanism", "PLAIN", "--log.sasl-username", "hotdesk"),
    )
    commands: tuple[tuple[str, ...], ...] = (
        ("--help",),
        ("check",),
        ("topics", "check", *kafka),
        ("run",),
        ("run", f"--clusters.{CLUSTER}.password", WRONG["database"]),
        ("pause",),
        ("rank", "desk1001", "--api.port", "1"),
    )
    codes = {}
    for words in commands:
        for secrets in (RIGHT,) if words[0] == "topics" else (RIGHT, WRONG):
            done = command(*words, **environment_of(west, secrets))
            codes[words[0], words[1:] and words[1], secrets is RIGHT] = done.code
            assert_unmarked(" ".join(words), (done.output + done.errors).encode())
    assert codes["check", (), False] == 3  # so it had something to complain about
    assert codes["run", (), True] == 2


def test_what_is_shown_of_settings_has_no_secret(west: Site) -> None:
    tables = {
        CLUSTER: {"mode": "act", "agent_api": ["https://web/agc/api.php"], "agent_api_user": "a", "ami_user": "b"}
    }
    made = clusters(tables, Options(), environment_of(west, RIGHT))[CLUSTER]
    assert made.password == RIGHT["database"]
    log = LogOptions(bootstrap=("kafka:9092",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOTDESK_LOG_SASL_PASSWORD", RIGHT["sasl"])
        kafka = log.kafka()
    assert kafka.sasl_password == RIGHT["sasl"]
    probes = made.probe_settings()
    targets = AmiTarget(host="127.0.0.1", user=probes.ami_user, secret=probes.ami_secret)
    for shown in (
        made,
        {CLUSTER: made},
        made.database_settings(),
        made.actuator_settings(),
        probes,
        targets,
        log,
        kafka,
    ):
        assert_unmarked(type(shown).__name__, f"{shown!r} {shown!s} {[shown]}".encode())
