"""`hotdesk aliases`, with a stand-in of VICIdial's API on a MariaDB: from a file of desks to phones and aliases."""

import csv
import errno
import json
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from types import MappingProxyType

import pytest

from simulator.database import Database
from simulator.non_agent_api import FakeNonAgentApi, Form
from simulator.plan import ClusterPlan
from tests.support.commands import SETTINGS, Command, Outcome, one_line
from tests.support.processes import Site, grants, site

SIX = ClusterPlan(dialers=6, agents=0, remote_agents=0)
READINESS = Path(__file__).parents[3] / "collectors" / "grants-readiness.sql"
ADMIN, PASSWORD = "6666", "adminpassword"
DESKS = 100


@pytest.fixture(scope="module")
def bare(database: Database) -> Iterator[Site]:
    """Yield a cluster of six dialers without a phone, and a user who may make them."""
    with site(database, SIX) as made:
        made.run(
            *grants(made, READINESS),
            "INSERT INTO vicidial_users (user, pass, user_level, vdc_agent_api_access, ast_admin_access,"
            f" ast_delete_phones) VALUES ('{ADMIN}', '{PASSWORD}', 8, '1', '1', '1')",
        )
        yield made


@pytest.fixture
def fake(bare: Site) -> Iterator[FakeNonAgentApi]:
    """Yield the API of its web server; nothing that it made is left to the next test."""
    with FakeNonAgentApi(bare.connect) as made:
        yield made
    bare.run("DELETE FROM phones", "DELETE FROM phones_alias", *grants(bare, READINESS))


class Office:
    """Runs `hotdesk aliases` for that cluster."""

    def __init__(self, command: Command, site: Site, api: FakeNonAgentApi, folder: Path) -> None:
        self._command = command
        self.site = site
        self.api = api
        self.folder = folder
        password = folder / "password"
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o600)
        self._account = {"--vicidial": api.url, "--user": ADMIN, "--password-file": str(password)}

    def desks(self, *lines: str, header: str = "extension,name") -> str:
        file = self.folder / "desks.csv"
        file.write_text("\n".join((header, *lines, "")))
        file.chmod(0o600)
        return str(file)

    def aliases(self, *arguments: str, **more: str) -> Outcome:
        return self._command("aliases", *arguments, **self.site.environment | more)

    def apply(self, *arguments: str, yes: bool = True, account: Mapping[str, str] = MappingProxyType({})) -> Outcome:
        flags = self._account | {f"--{name}": value for name, value in account.items()}
        given = [each for flag in flags.items() for each in flag]
        return self.aliases("apply", *given, *arguments, *(["--yes"] if yes else []))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.site.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @property
    def undo_file(self) -> Path:
        (found,) = self.folder.glob("*.undo")
        return found


@pytest.fixture
def office(command: Command, bare: Site, fake: FakeNonAgentApi, tmp_path: Path) -> Office:
    """Return the office."""
    return Office(command, bare, fake, tmp_path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_hundred_desks_on_six_dialers_and_their_softphones_in_one_command(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    desks = office.desks(*(f"{number},Seat {number}" for number in range(1001, 1001 + DESKS)))
    shown = office.aliases("plan", "--desks", desks)
    assert shown.code == 0
    assert "100 desks on 6 dialers: 600 phones and 100 aliases to make; 0 as they should be, 0 left out" in shown.output
    assert "+ alias desk1002: 1002b,1002c,1002d,1002e,1002f,1002a" in shown.output
    assert office.rows("SELECT * FROM phones") == []

    handed_out = office.folder / "handed out"
    all_in_one = ("--desks", desks, "--format", "csv", "--to", str(handed_out))
    made = office.apply(*all_in_one)
    assert made.code == 0, made.errors
    assert "75 of 100 desks: 525 changes made" in made.output
    assert office.rows("SELECT COUNT(*), COUNT(DISTINCT login), COUNT(DISTINCT conf_secret) FROM phones") == [
        (600, 600, 100)
    ]
    assert office.rows("SELECT COUNT(*) FROM phones_alias") == [(100,)]
    assert office.rows("SELECT DISTINCT protocol, active, LENGTH(conf_secret), LENGTH(pass) FROM phones") == [
        ("SIP", "Y", 20, 10)
    ]
    assert office.api.asked[-1] == "server_refresh"
    secrets = {str(each[0]) for each in office.rows("SELECT conf_secret FROM phones UNION SELECT pass FROM phones")}
    for text in (shown.output, made.output, made.errors):
        assert not any(secret in text for secret in secrets)
    assert mode(office.undo_file) == 0o600
    files = sorted(handed_out.iterdir())
    assert (len(files), {mode(each) for each in files}, mode(handed_out)) == (DESKS, {0o600}, 0o700)

    # a lost file is written anew, though there is nothing to make
    lost = files[0].read_text()
    files[0].unlink()
    again = office.apply(*all_in_one)
    assert (again.code, "nothing to do; 100 as they should be" in again.output) == (0, True)
    assert files[0].read_text() == lost

    for wanted in ("baresip", "linphone", "microsip", "zoiper", "csv"):
        folder = office.folder / wanted
        written = office.aliases("phones", "--format", wanted, "--to", str(folder))
        assert (written.code, f"wrote 100 files for {wanted}" in written.output) == (0, True), written.errors
        files = sorted(folder.iterdir())
        assert len(files) == DESKS
        assert {mode(each) for each in files} == {0o600}
        assert mode(folder) == 0o700
    rows = list(csv.DictReader(StringIO((office.folder / "csv" / "desk1001.csv").read_text())))
    (secret,) = {each["secret"] for each in rows}
    assert office.rows(f"SELECT COUNT(*) FROM phones WHERE conf_secret = '{secret}' AND extension = '1001'") == [(6,)]

    monkeypatch.setattr("sys.stdin", StringIO())  # as after < /dev/null
    assert "nothing was changed" in one_line(office.apply("--undo", str(office.undo_file), yes=False), 1)
    back = office.apply("--undo", str(office.undo_file))
    assert back.code == 0, back.errors
    assert f"/{office.site.name} of west; changed through {office.api.url}: both must be" in back.output
    assert office.rows("SELECT * FROM phones UNION ALL SELECT * FROM phones") == []
    assert office.rows("SELECT * FROM phones_alias") == []


def test_files_of_softphones_are_written_only_once_all_is_made(office: Office) -> None:
    desks = office.desks("1001,Anna", "1002,Berta")
    folder = office.folder / "softphones"
    handed_out = ("--format", "csv", "--to", str(folder))
    office.api.before = lambda form: "ERROR: add_phone NO" if form.get("phone_login") == "1002c" else None
    some = office.apply("--desks", desks, *handed_out)
    assert some.code == 1
    assert "no softphone's file was written: when that is mended, run it again" in some.errors
    assert list(folder.iterdir()) == []
    office.api.before = lambda _form: None
    assert office.apply("--desks", desks, *handed_out).code == 0
    assert {each.name for each in folder.iterdir()} == {"desk1001.csv", "desk1002.csv"}


@pytest.mark.parametrize("given", ["--format csv", "--to there", "--format csv --to there --undo file"])
def test_a_format_and_a_folder_go_together(office: Office, given: str) -> None:
    refused = office.apply("--desks", office.desks("1001,Anna"), *given.split())
    assert one_line(refused, SETTINGS) == "hotdesk: --format and --to go together, and not with --undo"
    assert office.rows("SELECT * FROM phones") == []


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_made(office: Office) -> None:
    taken = office.folder / "taken"
    taken.write_text("")
    refused = office.apply("--desks", office.desks("1001,Anna"), "--format", "csv", "--to", str(taken))
    assert "taken cannot be written" in refused.errors
    assert (refused.code != 0, office.rows("SELECT * FROM phones")) == (True, [])


def test_a_run_that_was_broken_off_goes_on_from_what_there_is(office: Office) -> None:
    desks = office.desks("1001,", "1002,", "1003,")
    asked = 0

    def breaks(form: Form) -> str | None:
        nonlocal asked
        asked += form["function"] == "add_phone" and bool(form.get("extension"))
        return "ERROR: Login incorrect, please try again: |6666|adminpassword|BAD|" if asked > 8 else None

    office.api.before = breaks
    stopped = office.apply("--desks", desks)
    assert stopped.code == 1
    assert "stopped after 9 changes: VICIdial does not let this user in (BAD)" in stopped.errors
    assert PASSWORD not in stopped.errors + stopped.output
    assert asked == 9
    office.api.before = lambda _form: None
    first_secret = office.rows("SELECT DISTINCT conf_secret FROM phones WHERE extension = '1002'")
    assert len(first_secret) == 1
    kept = office.undo_file.rename(office.folder / "kept")

    went_on = office.apply("--desks", desks)
    assert went_on.code == 0, went_on.errors
    assert office.rows("SELECT DISTINCT conf_secret FROM phones WHERE extension = '1002'") == first_secret
    assert office.rows("SELECT COUNT(*) FROM phones") == [(18,)]
    assert office.rows("SELECT COUNT(*) FROM phones_alias") == [(3,)]

    # the first file alone would take phones from an alias that the second run made
    too_early = office.apply("--undo", str(kept))
    assert too_early.code == 1
    assert "would be left: - phone 1002b: 1002 on 127.20.0.12: the alias desk1002 lists it" in too_early.output
    assert office.rows("SELECT COUNT(*) FROM phones WHERE extension = '1002'") == [(6,)]
    assert office.rows("SELECT COUNT(*) FROM phones_alias") == [(2,)]
    for newest_first in (office.undo_file, kept):
        assert office.apply("--undo", str(newest_first)).code == 0
    assert office.rows("SELECT login FROM phones") == []
    assert office.rows("SELECT alias_id FROM phones_alias") == []


def test_the_printed_command_puts_all_back_as_it_was(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (each.server_ip for each in SIX.dialer_plans[:2])
    office.site.run(
        "INSERT INTO phones (extension, server_ip, login, pass, conf_secret) VALUES"
        f" ('1001', '{one}', '1001a', 'typed', 'registered'), ('1001', '{two}', '1001b', 'typed', 'registered'),"
        f" ('1002', '{one}', '1002a', 'typed', 'registered')",
        "INSERT INTO phones_alias (alias_id, alias_name, logins_list) VALUES ('desk1001', 'Anna', '1001b,1001a')",
    )
    tables = ("SELECT * FROM phones ORDER BY login", "SELECT * FROM phones_alias ORDER BY alias_id")
    before = [office.rows(each) for each in tables]
    desks = office.desks("1001,Berta,typed2,kept2", "1002,Carla,,", header="extension,name,password,secret")
    made = office.apply("--desks", desks, "--dialers", "DIALER1", "DIALER2", "DIALER3")
    assert made.code == 0, made.errors
    assert all(now != then for now, then in zip([office.rows(each) for each in tables], before, strict=True))
    (file,) = re.findall("^(/.*) has what was there before", made.output, re.MULTILINE)
    (printed,) = re.findall("^    hotdesk (.* --undo .*)$", made.output, re.MULTILINE)
    assert (mode(Path(file)), Path(file)) == (0o600, office.undo_file)
    # by whom it was printed, and from any folder
    (office.folder / "elsewhere").mkdir()
    monkeypatch.chdir(office.folder / "elsewhere")
    program, *words = shlex.split(printed)
    back = office.aliases(*words, "--yes")
    assert (program, back.code) == ("aliases", 0), back.errors
    assert [office.rows(each) for each in tables] == before


def test_a_dialer_that_joins_and_one_that_leaves_are_one_run_each(office: Office) -> None:
    desks = office.desks("1001,", "1002,")
    first = [each.server_ip for each in SIX.dialer_plans[:3]]
    assert office.apply("--desks", desks, "--dialers", *first).code == 0
    office.undo_file.unlink()
    joined = office.apply("--dialers", *first, "DIALER4")
    assert joined.code == 0, joined.errors
    assert office.rows("SELECT alias_id, logins_list FROM phones_alias ORDER BY alias_id") == [
        ("desk1001", "1001d,1001a,1001b,1001c"),
        ("desk1002", "1002b,1002d,1002c,1002a"),
    ]
    assert office.rows("SELECT COUNT(DISTINCT conf_secret) FROM phones") == [(2,)]
    office.undo_file.unlink()
    before = office.rows("SELECT login, pass, conf_secret FROM phones ORDER BY login")
    # an agent sits at one of its phones still; a remote agent has none
    office.site.run(
        "INSERT INTO vicidial_live_agents (user, server_ip, extension) VALUES"
        f" ('1001', '{first[1]}', 'SIP/1001'), ('9001', '{first[0]}', 'R/9001')"
    )
    occupied = "1 agent on DIALER2 (127.20.0.12) would lose the phones there: 'hotdesk drain 127.20.0.12'"
    assert occupied in office.aliases("plan", "--dialers", *first, "--gone", "DIALER2").output
    assert occupied in one_line(office.apply("--dialers", *first, "--gone", "DIALER2"), 1)
    assert office.rows("SELECT login, pass, conf_secret FROM phones ORDER BY login") == before
    office.site.run("DELETE FROM vicidial_live_agents")
    office.site.run("UPDATE phones SET pass = 'it\\'s' WHERE extension = '1002'")
    for_good = office.aliases("plan", "--dialers", *first, "--gone", "DIALER2").output
    assert "could not be taken back by --undo: - phone 1002b: 1002 on 127.20.0.12" in for_good
    assert "--undo: - phone 1001b" not in for_good
    office.site.run("UPDATE phones SET pass = 'typed' WHERE extension = '1002'")
    before = office.rows("SELECT login, pass, conf_secret FROM phones ORDER BY login")
    left = office.apply("--dialers", *first, "--gone", "DIALER2")
    assert left.code == 0, left.errors
    assert "deleting needs a VICIdial user with AST delete phones" in left.output
    assert office.rows("SELECT logins_list FROM phones_alias ORDER BY alias_id") == [
        ("1001d,1001a,1001c",),
        ("1002d,1002c,1002a",),
    ]
    assert office.rows("SELECT COUNT(*) FROM phones WHERE login LIKE '%b'") == [(0,)]
    assert office.apply("--undo", str(office.undo_file)).code == 0
    assert office.rows("SELECT login, pass, conf_secret FROM phones ORDER BY login") == before


def test_from_a_dialer_that_has_all_phones(office: Office) -> None:
    ip = SIX.dialer_plans[0].server_ip
    office.site.run(
        "INSERT INTO phones (extension, server_ip, login, pass, conf_secret) VALUES"
        f" ('2001', '{ip}', '2001', 'typed', 'registered'), ('2002', '{ip}', '2002', 'typed2', 'registered2')"
    )
    assert office.apply("--from-dialer", "DIALER1", "--dialers", "DIALER1", "DIALER2").code == 0
    assert office.rows("SELECT login, pass, conf_secret FROM phones WHERE login LIKE '2001%' ORDER BY login") == [
        ("2001", "typed", "registered"),
        ("2001b", "typed", "registered"),
    ]
    assert office.rows("SELECT alias_id, logins_list FROM phones_alias ORDER BY alias_id") == [
        ("desk2001", "2001,2001b"),
        ("desk2002", "2002b,2002"),
    ]


def test_what_contradicts_is_said_and_left_alone(office: Office) -> None:
    one, two = (each.server_ip for each in SIX.dialer_plans[:2])
    office.site.run(
        "INSERT INTO phones (extension, server_ip, login, pass, conf_secret) VALUES"
        f" ('2001', '{one}', '2001a', 'one', 's'), ('2001', '{two}', '2001b', 'two', 's')"
    )
    desks = office.desks("2001,", "2002,")
    planned = office.aliases("plan", "--desks", desks)
    assert planned.code == 1
    assert re.search("desk2001 .* 2001 .* left out", planned.output)
    assert "1 left out" in planned.output
    found = json.loads(office.aliases("plan", "--desks", desks, "--json").output)
    assert [each["kind"] for desk in found["desks"] for each in desk["contradictions"]] == ["passwords_differ"]
    assert [len(desk["steps"]) for desk in found["desks"]] == [0, 7]
    applied = office.apply("--desks", desks)
    assert applied.code == 1
    assert office.rows("SELECT alias_id FROM phones_alias") == [("desk2002",)]


def test_a_phone_that_no_softphone_can_be_has_no_account(office: Office) -> None:
    one, two, three = (each.server_ip for each in SIX.dialer_plans[:3])
    office.site.run(
        "INSERT INTO phones (extension, server_ip, login, pass, conf_secret, protocol, active) VALUES"
        f" ('2001', '{one}', '2001a', 'p', 's', 'SIP', 'Y'), ('2001', '{two}', '2001b', 'p', 's', 'IAX2', 'Y'),"
        f" ('2001', '{three}', '2001c', 'p', 's', 'SIP', 'N'), ('2002', '{one}', '2002a', 'p', '', 'SIP', 'Y'),"
        f" ('2003', '{one}', '2003a', 'p', 's', 'EXTERNAL', 'Y')"
    )
    folder = office.folder / "to"
    to = ("--desks", office.desks("2001,", "2002,", "2003,"), "--to", str(folder))
    written = office.aliases("phones", "--format", "baresip", *to)
    assert written.code == 1
    assert [each.name for each in folder.iterdir()] == ["desk2001.baresip"]
    (account,) = (folder / "desk2001.baresip").read_text().splitlines()
    assert f"2001@{one}" in account
    assert "desk2002 is left out: its secret is empty" in written.errors
    assert "desk2003 is left out: none of its phones there registers by SIP" in written.errors


def test_a_refused_phone_is_named_and_its_desk_left_there(office: Office) -> None:
    def refuses(form: Form) -> str | None:
        taken = form["function"] == "add_phone" and form.get("phone_login") == "1001c"
        return f"ERROR: add_phone PHONE LOGIN ALREADY EXISTS: |6666|1001c|{form['phone_pass']}" if taken else None

    office.api.before = refuses
    applied = office.apply("--desks", office.desks("1001,", "1002,"))
    assert applied.code == 1
    (line,) = applied.errors.splitlines()
    assert line.startswith("desk1001: + phone 1001c: SIP/1001 on 127.20.0.13: ERROR: add_phone PHONE LOGIN ALREADY")
    assert line.endswith("1001c|***")
    assert office.rows("SELECT alias_id FROM phones_alias") == [("desk1002",)]


@pytest.mark.parametrize("typed", ["\n", "no\n", ""])
def test_nothing_is_changed_unless_it_is_agreed_to(office: Office, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(typed))
    refused = office.apply("--desks", office.desks("1001,"), yes=False)
    assert "nothing was changed" in one_line(refused, 1)
    assert office.rows("SELECT * FROM phones") == []
    assert list(office.folder.glob("*.undo")) == []
    # who is asked sees which database and which web server are taken for one VICIdial
    asked = re.search("read from the database (.*) of west; changed through (.*): both must be", refused.output)
    assert asked is not None
    assert (asked[1].endswith(f"/{office.site.name}"), asked[2]) == (True, office.api.url)
    assert f"make these 7 changes in west through {office.api.url}?" in refused.output


def test_only_the_undo_file_is_reported_as_the_undo_file(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_text: str) -> None:
        raise OSError(errno.EIO, "Input/output error")

    desks = office.desks("1001,")
    with monkeypatch.context() as terminal:
        terminal.setattr("hotdesk.cli.aliases.applied.say", lambda text: broken(text) if "takes back" in text else None)
        assert "undo cannot be written" not in office.apply("--desks", desks).errors
    office.undo_file.unlink()
    monkeypatch.setattr("os.fsync", broken)
    assert re.search(r"hotdesk-aliases-west-.*undo cannot be written", office.apply("--desks", desks).errors)
    assert office.rows("SELECT * FROM phones") == []


FAULTS = {
    "the account": ({"user": "nobody"}, (), "VICIdial does not let this user in"),
    "a dialer that is none": (
        {},
        ("--dialers", "DIALER9"),
        "there is no dialer 'DIALER9'; there are DIALER1 (127.20.0.11)",
    ),
    "both kinds of desks": ({}, ("--from-dialer", "DIALER1"), "use one of them"),
    "an address that is none": ({"vicidial": "web1"}, (), "'web1' is no address"),
    "an address that Python's own parser refuses": (
        {"vicidial": "https://[web1/x"},
        (),
        "'https://[web1/x' is no address",
    ),
    "a port that is none": ({"vicidial": "https://web1:70000/x"}, (), "'https://web1:70000/x' is no address"),
    "an address with a password": ({"vicidial": "http://a:b@web1/x"}, (), "set --user and --password-file"),
    "an undo file that is none": ({}, ("--undo", "desks.csv"), "is no undo file"),
    "a cluster that is none": ({}, ("--cluster", "east"), "there is no cluster 'east'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line(office: Office, fault: str) -> None:
    account, more, words = FAULTS[fault]
    failed = office.apply("--desks", office.desks("1001,"), *more, account=account)
    assert failed.code in {1, SETTINGS}
    assert words in failed.errors
    assert len(failed.errors.splitlines()) == 1
    assert PASSWORD not in failed.errors
    assert office.rows("SELECT * FROM phones") == []


def test_a_fault_in_the_file_is_named_with_its_line(office: Office) -> None:
    failed = office.aliases("plan", "--desks", office.desks("1001,", "10 02,"))
    assert "desks.csv:3: extension '10 02' is not 2 to 14 letters, digits, - and _" in one_line(failed, SETTINGS)


def test_a_file_with_secrets_that_all_may_read_is_refused(office: Office) -> None:
    desks = office.desks("1001,geheim", header="extension,secret")
    Path(desks).chmod(0o644)
    line = one_line(office.aliases("plan", "--desks", desks), SETTINGS)
    assert "chmod o-r" in line
    assert "geheim" not in line


def test_without_the_right_to_read_secrets_only_what_a_file_says_can_be_made(office: Office) -> None:
    office.site.run(f"REVOKE SELECT (pass, conf_secret) ON {office.site.name}.phones FROM '{office.site.user}'@'%'")
    desks = office.desks("1001,typed1,secret1", header="extension,password,secret")
    assert office.apply("--desks", desks, "--dialers", "DIALER1").code == 0
    kinds = json.loads(office.aliases("plan", "--json").output)["desks"][0]["contradictions"]
    assert [each["kind"] for each in kinds] == ["secrets_unread"]
    assert "grants-readiness.sql" in kinds[0]["remedy"]
    office.undo_file.unlink()
    assert office.apply("--desks", desks).code == 0
    assert office.rows("SELECT DISTINCT pass, conf_secret FROM phones") == [("typed1", "secret1")]
    left_out = office.aliases("phones", "--format", "csv", "--to", str(office.folder / "to"))
    assert (left_out.code, "its secret cannot be read" in left_out.errors) == (1, True)


def test_who_is_registered_nowhere_is_named(office: Office) -> None:
    assert office.apply("--desks", office.desks("1001,"), "--dialers", "DIALER1", "DIALER2").code == 0
    one, two = (each.server_ip for each in SIX.dialer_plans[:2])
    office.site.run(
        f"UPDATE phones SET peer_status = 'REGISTERED' WHERE server_ip = '{one}'",
        f"UPDATE phones SET peer_status = 'UNREGISTERED' WHERE server_ip = '{two}'",
    )
    places = json.loads(office.aliases("verify", "--dialers", "DIALER1", "DIALER2", "DIALER3", "--json").output)
    assert [each["registration"] for each in places] == ["registered", "not registered", "no phone"]
    verified = office.aliases("verify", "--dialers", "DIALER1", "DIALER2")
    assert verified.code == 1
    assert verified.output.splitlines() == [
        "all dialers: without an AMI account it goes by phones.peer_status: set ami_user",
        "desk1001 (1001): registered on 1 of 2 dialers",
        "  DIALER2 (127.20.0.12): not registered",
        "west: 1 registration of 1 desk on 2 dialers; 1 desk is incomplete",
    ]
    assert office.aliases("verify", "--dialers", "DIALER1").code == 0
    no_account = office.aliases("verify", "--ring", "1001", "--yes", "--dialers", "DIALER1")
    assert "set ami_user and ami_secret_file" in one_line(no_account, SETTINGS)


def test_a_dialer_whose_ami_does_not_answer_is_not_known_whatever_the_table_says(office: Office) -> None:
    ip = SIX.dialer_plans[0].server_ip
    assert office.apply("--desks", office.desks("1001,"), "--dialers", "DIALER1").code == 0
    office.site.run("UPDATE phones SET peer_status = 'REGISTERED'")
    ami = {
        f"HOTDESK_CLUSTERS__WEST__AMI_{name}": value for name, value in (("USER", "x"), ("SECRET", "y"), ("PORT", "1"))
    }
    verified = office.aliases("verify", "--dialers", "DIALER1", "--json", **ami)
    (place,) = json.loads(verified.output)
    assert (verified.code, place["registration"]) == (1, "not known")
    assert f"its AMI at {ip}:1 is" in place["why"]

    ring = ("verify", "--ring", "1001", "--dialers", "DIALER1", "--json")
    rung = office.aliases(*ring, "--yes", **ami)
    (call,) = json.loads(rung.output)
    assert (rung.code, call["server_ip"], call["answered"]) == (1, ip, False)
    assert "does not answer" in call["why"]
    assert "add --yes" in one_line(office.aliases(*ring, **ami), SETTINGS)
