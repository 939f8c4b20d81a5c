"""Files: what other accounts of the machine may read of hotdesk's, and what it obeys that they could have written."""

import errno
import grp
import hashlib
import os
import pwd
import re
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs

from controller.api.tokens import SAMPLES, Scope, TokenFileError, Tokens
from hotdesk.errors import SettingsError
from hotdesk.settings import ApiOptions, ClusterSettings, LogOptions, read_file
from messages.topics import Topic
from stream.embedded.log import EmbeddedLog
from stream.log import Entry, LogInUseError, LogRefusedError
from tests.support.builders import secret_file
from tests.support.commands import SETTINGS, Command

TOKEN = "a-token-of-this-test-alone"
ANOTHER_ACCOUNT = 65534
ROOT = Path(__file__).parents[2]


@pytest.fixture
def masked() -> Iterator[None]:
    """Let every file be open to all, as a careless service manager does."""
    before = os.umask(0)
    yield
    os.umask(before)


# --- what hotdesk writes -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("masked")
def test_the_logs_files_and_folders_are_of_this_account_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "newer" / "hotdesk.db"
    log = EmbeddedLog(path, partitions=1)
    try:
        log.append([Entry(Topic.AUDIT, "west/1", b"{}")])
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in (*path.parent.iterdir(), path.parent)}
        assert modes.pop("newer") == 0o700
        assert modes == dict.fromkeys(("hotdesk.db", "hotdesk.db-wal", "hotdesk.db-shm", "hotdesk.db.lock"), 0o600)
    finally:
        log.close()


def test_a_log_that_everybody_could_read_is_so_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "hotdesk.db"
    EmbeddedLog(path, partitions=1).close()
    # what a process that was killed leaves behind
    (tmp_path / "hotdesk.db-wal").touch()
    for each in tmp_path.iterdir():
        each.chmod(0o666)
    log = EmbeddedLog(path, partitions=1)
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}
    log.close()


def test_a_lock_that_points_elsewhere_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep me")
    (tmp_path / "hotdesk.db.lock").symlink_to(precious)
    with pytest.raises(Exception, match=r"cannot be written .*remove it"):
        EmbeddedLog(tmp_path / "hotdesk.db", partitions=1)
    assert precious.read_text() == "keep me"


def test_a_log_may_be_a_link_and_is_locked_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "hotdesk.db").symlink_to("data/hotdesk.db")
    log = EmbeddedLog(tmp_path / "hotdesk.db", partitions=1)
    log.append([Entry(Topic.AUDIT, "west/1", b"{}")])
    with pytest.raises(LogInUseError):
        EmbeddedLog(tmp_path / "data" / "hotdesk.db", partitions=1)
    log.close()
    assert [each.name for each in tmp_path.iterdir() if each.name != "data"] == ["hotdesk.db"]


def test_a_file_of_the_log_that_is_anothers_is_written_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    EmbeddedLog(tmp_path / "hotdesk.db", partitions=1).close()
    (tmp_path / "hotdesk.db").chmod(0o660)

    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("stream.embedded.log.os.fchmod", refused)
    with capture_logs() as lines:
        EmbeddedLog(tmp_path / "hotdesk.db", partitions=1).close()
    assert [each["path"] for each in lines] == [str(tmp_path / "hotdesk.db")]


def test_the_file_at_fault_is_named(tmp_path: Path) -> None:
    (tmp_path / "hotdesk.db-wal").mkdir()
    with pytest.raises(LogRefusedError, match=r"hotdesk\.db-wal cannot be written"):
        EmbeddedLog(tmp_path / "hotdesk.db", partitions=1)
    (tmp_path / "hotdesk.db-wal").rmdir()
    EmbeddedLog(tmp_path / "hotdesk.db", partitions=1).close()


@pytest.mark.usefixtures("masked")
def test_settings_that_were_written_may_be_used(tmp_path: Path, command: Command) -> None:
    tmp_path.chmod(0o700)
    assert command("init").code == 0
    read_file(tmp_path / "hotdesk.toml", must_exist=True)


# --- what hotdesk reads ------------------------------------------------------------------------------------------


def read_tokens(path: Path) -> None:
    Tokens.load(path)


def read_settings(path: Path) -> None:
    read_file(path, must_exist=True)


def read_password(path: Path) -> None:
    ClusterSettings(password_file=str(path)).database_settings()


def read_key(path: Path) -> None:
    ApiOptions(tls_cert=str(path), tls_key=str(path)).certificate()


READERS = {
    read_tokens: f"admin {TOKEN}\n",
    read_settings: "[log]\npartitions = 4\n",
    read_password: "a password",
    read_key: "no key",
}


@pytest.mark.parametrize("mode", [0o602, 0o622, 0o660, 0o620, 0o666, 0o777])
@pytest.mark.parametrize("read", READERS)
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, read: object, mode: int) -> None:
    assert callable(read)
    path = secret_file(tmp_path / "file", READERS[read])
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 0, ANOTHER_ACCOUNT)
    elif not mode & 0o007:
        pytest.skip("only root may give a file to a foreign group")
    with pytest.raises((SettingsError, TokenFileError), match=r"is refused: .*chmod (o-r|go-w)"):
        read(path)


class Accounts:
    """An account with a group of its own, and others in it."""

    def __init__(self, group: str, gid: int, *members: str) -> None:
        self.group = grp.struct_group((group, "x", gid, list(members)))
        self.owner = pwd.struct_passwd(("anna", "x", 1000, 1000, "", "/", "/bin/sh"))

    def own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have every file belong to them."""
        monkeypatch.setattr("controller.api.secret_files.pwd.getpwuid", lambda _: self.owner)
        monkeypatch.setattr("controller.api.secret_files.grp.getgrgid", lambda _: self.group)


@pytest.mark.parametrize(
    ("accounts", "refused"),
    [
        (Accounts("anna", 1001), False),
        (Accounts("anna", 1000, "anna"), False),
        (Accounts("anna", 1000, "bert"), True),
        (Accounts("staff", 50), True),
    ],
)
def test_a_group_that_the_owner_has_alone_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accounts: Accounts, refused: bool
) -> None:
    """By the umask 0002 of Debian, Ubuntu and RHEL every new file is one that its group may write."""
    path = secret_file(tmp_path / "file", READERS[read_settings])
    path.chmod(0o664)
    accounts.own(monkeypatch)
    if refused:
        with pytest.raises(SettingsError, match="chmod go-w"):
            read_settings(path)
    else:
        read_settings(path)


def test_a_volume_of_kubernetes_is_no_folder_that_others_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is open to all, without a sticky bit, and on a read-only file system."""
    (tmp_path / "..2026").mkdir()
    secret_file(tmp_path / "..2026" / "file", READERS[read_settings])
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "file").symlink_to("..data/file")
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="may replace it"):
        read_settings(tmp_path / "file")
    found = os.statvfs(tmp_path)
    fields = [*found[:8], found.f_flag | os.ST_RDONLY, found.f_namemax]
    monkeypatch.setattr("controller.api.secret_files.os.statvfs", lambda _: os.statvfs_result(fields))
    read_settings(tmp_path / "file")


@pytest.mark.parametrize("read", READERS)
def test_a_file_that_others_may_replace_is_refused_wherever_it_is(tmp_path: Path, read: object) -> None:
    assert callable(read)
    open_to_all, closed = tmp_path / "open", tmp_path / "closed"
    (open_to_all / "deep").mkdir(parents=True)
    closed.mkdir()
    text = READERS[read]
    there = secret_file(open_to_all / "deep" / "file", text)
    link, way_out = closed / "link", open_to_all / "link"
    link.symlink_to(there)
    way_out.symlink_to(secret_file(closed / "file", text))
    open_to_all.chmod(0o777)
    for path in (there, link, way_out):
        with pytest.raises((SettingsError, TokenFileError), match="every account on this machine may replace it"):
            read(path)
    # in a folder such as /tmp each account may replace its own files only
    open_to_all.chmod(0o1777)
    if read is not read_key:
        read(there)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_owner_and_group_are_the_operators_choice(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path / "tokens", f"admin {TOKEN}\n")
    path.chmod(mode)
    read_tokens(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_settings_of_another_account_are_not_obeyed_for_lying_around(command: Command, tmp_path: Path) -> None:
    """The attack: somebody leaves a hotdesk.toml where an operator works, who then sends an order with their token."""
    heard: list[str] = []

    class Thief(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers.get("authorization", ""))

        do_GET = do_POST  # noqa: N815 # named by the base class

    with HTTPServer(("127.0.0.1", 0), Thief) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        settings = tmp_path / "hotdesk.toml"
        settings.write_text(f'[api]\nurl = "http://127.0.0.1:{server.server_address[1]}"\n')
        os.chown(settings, ANOTHER_ACCOUNT, ANOTHER_ACCOUNT)
        outcome = command("pause", "--cluster", "west", HOTDESK_TOKEN=TOKEN)
        server.shutdown()
    assert outcome.code == SETTINGS
    assert "belongs to another account" in outcome.errors
    assert not heard


def test_a_password_in_an_address_is_refused_without_it() -> None:
    acting = ClusterSettings(agent_api=("https://me:hunter22@web/agc/api.php",), agent_api_user="a")
    with pytest.raises(SettingsError, match="agent_api: an address has no user") as refused:
        acting.actuator_settings()
    assert "hunter22" not in str(refused.value)
    with pytest.raises(SettingsError, match=r"log\.bootstrap: a broker has no user") as refused:
        LogOptions(bootstrap=("me:hunter22@kafka:9092",)).kafka()
    assert "hunter22" not in str(refused.value)

    with pytest.raises(SettingsError, match=r"api\.url: an address has no user") as refused:
        ApiOptions(url="http://me:hunter22@hotdesk:8470").reached_at(1, this_machine="here")
    assert "hunter22" not in str(refused.value)


def test_kafka_is_sent_no_password_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTDESK_LOG_SASL_PASSWORD", "hunter22")
    log = LogOptions(
        bootstrap=("127.0.0.1:9092", "kafka2:9092"),
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="hotdesk",
    )
    with pytest.raises(SettingsError, match="SASL_SSL"):
        log.kafka()


# --- token files -------------------------------------------------------------------------------------------------


def digest(token: str = TOKEN) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        f"\N{ZERO WIDTH NO-BREAK SPACE}admin {TOKEN}\r\n",
        f"# a comment\r\n\r\nadmin\t{TOKEN}  # Anna's\r\n",
        f"admin {TOKEN}\nadmin {TOKEN}\n",
        f"admin sha256:{digest()}\n",
        f"ADMIN SHA256:{digest().upper()}\n",
        f"admin sha256:{digest()}\nadmin {TOKEN}\n",
    ],
)
def test_a_token_file_may_be_written_in_many_ways(tmp_path: Path, text: str) -> None:
    tokens = Tokens.load(secret_file(tmp_path / "tokens", text))
    assert tokens.scope_of(f"Bearer {TOKEN}") is Scope.ADMIN
    assert tokens.fingerprint_of(f"Bearer {TOKEN}") == digest()[:6]
    for guess in (digest(), f"sha256:{digest()}", f"SHA256:{digest().upper()}", TOKEN.upper(), f"{TOKEN}\r", "#"):
        assert tokens.scope_of(f"Bearer {guess}") is (Scope.ADMIN if guess.strip() == TOKEN else None)


def test_what_follows_a_hash_in_a_token_belongs_to_it(tmp_path: Path) -> None:
    tokens = Tokens.load(secret_file(tmp_path / "tokens", f"admin {TOKEN}#2\n"))
    assert tokens.scope_of(f"Bearer {TOKEN}#2") is Scope.ADMIN
    assert tokens.scope_of(f"Bearer {TOKEN}") is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"read {TOKEN}\nadmin {TOKEN}\n", "line 2: this token has another scope"),
        (f"read {TOKEN}\nadmin sha256:{digest()}\n", "line 2: this token has another scope"),
        (f"admin sha256:{digest()[:-1]}\n", "64 hexadecimal digits"),
        (f"admin sha256:{digest()[:-1]}g\n", "64 hexadecimal digits"),
        *((f"admin {each}\n", "everybody knows it") for each in SAMPLES),
        *((f"admin sha256:{digest(each)}\n", "everybody knows it") for each in SAMPLES),
    ],
)
def test_a_token_file_that_would_surprise_is_refused_without_its_tokens(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(TokenFileError, match=why) as refused:
        Tokens.load(secret_file(tmp_path / "tokens", text))
    assert text.rsplit(maxsplit=1)[-1] not in str(refused.value)


def test_every_token_of_the_documents_is_refused() -> None:
    shown = re.compile(r"(?:Bearer |^(?:read|pick|admin) +|token <<< \"|printf %s ')([A-Za-z0-9-]{16,})", re.MULTILINE)
    documents = [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", *ROOT.glob("hook/*"), ROOT / "hotdesk/example.toml"]
    found = {each for path in documents if path.is_file() for each in shown.findall(path.read_text())}
    assert found >= {"pick-token-0123456"}
    assert found <= set(SAMPLES)
