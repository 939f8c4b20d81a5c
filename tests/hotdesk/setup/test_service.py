"""What `hotdesk setup` would do: facts and answers in, steps out."""

import hashlib
import re
import shlex
import tomllib
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

from hotdesk.grants import Purpose, needed
from hotdesk.settings import Options, clusters
from hotdesk.setup.facts import (
    Dialer,
    Firewall,
    InDatabase,
    InKafka,
    Machine,
    Vicidial,
    WebServer,
    input_chain,
    interface_of,
    read_vicidial,
    settled_in,
    systemd_version,
)
from hotdesk.setup.firewalls import opening
from hotdesk.setup.known import Answers, Known, Made
from hotdesk.setup.service import closing, paths, settings_text, steps
from hotdesk.setup.steps import (
    Act,
    Commands,
    Entry,
    File,
    Folder,
    Notes,
    Owner,
    Remove,
    Seen,
    State,
    Statements,
    Step,
    digest,
    undoing,
    words_for,
)
from hotdesk.setup.units import DROP_IN, OF_ROLE, OF_ROLES, PROFILE, UNIT, tokens_of_collectors

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "packaging" / "systemd"
SCHEMA = (ROOT / "simulator" / "schema.sql").read_text()
COLUMNS = frozenset(
    (table.lower(), column.lower())
    for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", SCHEMA, re.DOTALL)
    for column in re.findall(r"^  (\w+) [A-Z]", body, re.MULTILINE)
    if column.upper() not in {"PRIMARY", "UNIQUE", "KEY", "INDEX"}
)
MADE = Made("secret-of-the-database", ("r" * 24, "p" * 24, "a" * 24), "secret-of-ami")
ANSWERS = Answers(
    cluster="main", host="10.0.0.5", address="10.0.0.20", comes_from="10.0.0.20", let_in=("10.0.0.7", "10.1.0.0/16")
)
MACHINE = Machine(
    systemd=252,
    program="/opt/hotdesk/current/bin/hotdesk",
    shipped={each.name: each.read_text() for each in SHIPPED.iterdir()},
)
DATABASE = InDatabase(
    columns=COLUMNS,
    dialers=(Dialer("10.0.0.11", "dialer1"),),
    web_servers=(WebServer("web1", "10.0.0.7"),),
    administers=True,
)
KNOWN = Known(MACHINE, DATABASE, ANSWERS, MADE, MappingProxyType({}), Notes())


def carried_out(made: list[Step]) -> tuple[dict[str, Seen], Notes]:
    """Return what would be seen, and noted, after these steps."""
    there: dict[str, Seen] = {}
    known = Notes()
    for each in made:
        if isinstance(each.act, Folder):
            there[each.act.path] = Seen(each.act.mode, each.act.owner, None)
        elif isinstance(each.act, File):
            there[each.act.path] = Seen(each.act.mode, each.act.owner, each.act.content)
            known = known.with_entry(Entry(what=each.what, path=each.act.path, digest=digest(each.act.content)))
    return there, known


def acts(known: Known) -> dict[str, Act]:
    """Return the acts by path, or by what they do."""
    return {each.act.path if isinstance(each.act, File | Folder) else each.what: each.act for each in steps(known)}


def test_on_a_bare_machine_everything_is_to_do_and_can_be_taken_back() -> None:
    made = steps(KNOWN)
    assert {each.state for each in made} == {State.TO_DO}
    assert all(each.back for each in made)
    assert set(paths(ANSWERS)) >= {each.act.path for each in made if isinstance(each.act, File | Folder)}
    modes = {path: oct(act.mode) for path, act in acts(KNOWN).items() if isinstance(act, File | Folder)}
    assert modes == {
        "/etc/hotdesk": "0o755",
        "/etc/hotdesk/secrets": "0o700",
        "/etc/hotdesk/secrets/main.password": "0o600",
        "/etc/hotdesk/secrets/tokens": "0o600",
        "/etc/hotdesk/hotdesk.toml": "0o644",
        PROFILE: "0o644",
        UNIT: "0o644",
        DROP_IN.rpartition("/")[0]: "0o755",
        DROP_IN: "0o644",
    }


def test_nothing_that_is_shown_has_a_secret_in_it() -> None:
    known = KNOWN._replace(answers=msgspec.structs.replace(ANSWERS, ami=True))
    shown = "\n".join([line for each in steps(known) for line in words_for(each)] + list(closing(known)))
    assert "CREATE USER" in shown
    assert [each for each in (MADE.password, *MADE.tokens, MADE.ami) if each in shown + repr(known.made)] == []


def test_a_second_run_finds_all_of_it_done() -> None:
    there, known = carried_out(steps(KNOWN))
    rules = (
        'rule family="ipv4" source address="10.0.0.7" port port="8470" protocol="tcp" accept\n'
        'rule family="ipv4" source address="10.1.0.0/16" port port="8470" protocol="tcp" accept\n'
    )
    again = KNOWN._replace(
        machine=MACHINE._replace(active=True, firewall=Firewall("firewalld", "public", rules)),
        database=DATABASE._replace(held=needed(ANSWERS.purposes, COLUMNS), has_account=True),
        made=Made("another", ("x" * 24, "y" * 24, "z" * 24), "another"),
        seen=there,
        notes=known,
    )
    assert [each.what for each in steps(again) if each.state is not State.DONE] == []
    # another answer: the settings, the account and the service, and nothing else
    acting = again._replace(answers=msgspec.structs.replace(ANSWERS, purposes=frozenset({Purpose.ACT})))
    changed = [each for each in steps(acting) if each.state is not State.DONE]
    assert [type(each.act) for each in changed] == [File, Statements, Commands]
    assert changed[-1].act == Commands((("systemctl", "daemon-reload"), ("systemctl", "restart", "hotdesk")))
    assert changed[1].back == "the account was there before: its new rights stay"


def test_settings_that_somebody_changed_are_left_and_said() -> None:
    there, known = carried_out(steps(KNOWN))
    theirs = there | {ANSWERS.settings: Seen(0o644, Owner("root", "root"), b"[log]\n")}
    (kept,) = [each for each in steps(KNOWN._replace(seen=theirs, notes=known)) if each.state is State.KEPT]
    assert kept.why == "somebody has changed it since"


@pytest.mark.parametrize("ami", [False, True])
@pytest.mark.parametrize("purposes", [frozenset[Purpose](), frozenset(Purpose)])
def test_the_settings_are_taken_and_found_again(ami: bool, purposes: frozenset[Purpose]) -> None:
    answers = msgspec.structs.replace(
        ANSWERS, ami=ami, purposes=purposes, host='an "odd" host', port=3307, api_port=9000, cluster="west-2"
    )
    tables = tomllib.loads(settings_text(answers))
    (cluster,) = clusters(tables["clusters"], Options(), {}).values()
    assert (cluster.host, cluster.port, cluster.password_file) == (answers.host, 3307, answers.password_file)
    assert (cluster.mode == "act", cluster.fence, bool(cluster.ami_user)) == (
        bool(purposes),
        True if purposes else None,
        ami,
    )
    found = settled_in(tables, "")
    assert found["cluster"] == "west-2"
    assert (found["api_host"], found["api_port"], found["host"]) == (answers.address, 9000, answers.host)
    assert settled_in(tables, "another") == {"api_host": answers.address, "api_port": 9000}
    assert settled_in({"clusters": "nonsense"}, "") == {}


def test_the_unit_and_its_drop_in_are_the_shipped_ones_with_what_differs_here() -> None:
    assert acts(KNOWN)[UNIT] == File(UNIT, MACHINE.shipped["hotdesk.service"].encode(), 0o644)
    assert acts(KNOWN)[DROP_IN] == File(DROP_IN, MACHINE.shipped["secrets.conf"].encode(), 0o644)
    here = KNOWN._replace(
        machine=MACHINE._replace(program="/usr/bin/hotdesk"),
        answers=msgspec.structs.replace(ANSWERS, cluster="west", ami=True),
    )
    unit, drop_in = acts(here)[UNIT], acts(here)[DROP_IN]
    assert isinstance(unit, File)
    assert isinstance(drop_in, File)
    assert b"\nExecStart=/usr/bin/hotdesk run\n" in unit.content
    loaded = [line for line in drop_in.content.decode().splitlines() if line.startswith("LoadCredential")]
    assert loaded == [
        "LoadCredential=tokens:/etc/hotdesk/secrets/tokens",
        "LoadCredential=west.password:/etc/hotdesk/secrets/west.password",
        "LoadCredential=west.ami:/etc/hotdesk/secrets/west.ami",
    ]


def test_what_a_package_brought_is_no_persons_change() -> None:
    brought = {
        DROP_IN: Seen(0o644, Owner("root", "root"), MACHINE.shipped["secrets.conf"].encode()),
        PROFILE: Seen(0o644, Owner("root", "root"), b"# ours\nexport HOTDESK_CONFIG=/etc/hotdesk/hotdesk.toml\n"),
    }
    known = KNOWN._replace(
        machine=MACHINE._replace(packaged=True), seen=brought, answers=msgspec.structs.replace(ANSWERS, ami=True)
    )
    made = {each.act.path: each for each in steps(known) if isinstance(each.act, File)}
    assert UNIT not in made
    assert made[PROFILE].state is State.DONE
    assert (made[DROP_IN].state, made[DROP_IN].back) == (State.TO_DO, "what was there before comes back")


def test_an_older_systemd_gets_a_user_whose_group_may_read_the_secrets() -> None:
    old = KNOWN._replace(machine=MACHINE._replace(systemd=249))
    found = acts(old)
    # the folder of the notes is the first to come, so the last to go
    first, second, *_ = (each.act for each in steps(old))
    assert first == found[ANSWERS.folder]
    assert second == Commands((("useradd", "--system", "--user-group", "hotdesk"),), (("userdel", "hotdesk"),))
    password, folder, drop_in = found[ANSWERS.password_file], found[ANSWERS.secrets], found[DROP_IN]
    assert isinstance(password, File)
    assert isinstance(folder, Folder)
    assert isinstance(drop_in, File)
    assert (password.mode, password.owner, folder.mode) == (0o640, Owner("root", "hotdesk"), 0o750)
    assert drop_in.content.decode().splitlines()[1:] == ["DynamicUser=no", "BindReadOnlyPaths="]


def test_in_a_folder_of_its_own_nothing_of_the_machine_is_touched() -> None:
    answers = msgspec.structs.replace(ANSWERS, folder="/somewhere/here")
    made = steps(KNOWN._replace(answers=answers, machine=MACHINE._replace(owner=Owner("me", "us"))))
    assert all(each.act.path.startswith("/somewhere/here") for each in made if isinstance(each.act, File | Folder))
    assert [each for each in made if isinstance(each.act, Commands)] == []
    assert {each.act.owner for each in made if isinstance(each.act, File | Folder)} == {Owner("me", "us")}


def by_hand(known: Known) -> tuple[File, Step]:
    """Return the file for the database's administrator, and the step that names it."""
    *_, written, named, started = (each for each in steps(known) if each.asks != "let them in through the firewall")
    assert isinstance(written.act, File)
    assert (named.state, started.state) == (State.BY_HAND, State.TO_DO)
    return written.act, named


def test_who_is_no_administrator_gets_a_file_and_the_command_for_one() -> None:
    known = KNOWN._replace(database=DATABASE._replace(administers=False))
    file, named = by_hand(known)
    assert (file.path, file.mode) == ("/etc/hotdesk/secrets/grants.sql", 0o600)
    assert MADE.password.encode() in file.content
    command = "ssh root@10.0.0.5 mysql < /etc/hotdesk/secrets/grants.sql"
    assert named.why == f"an administrator of the database runs: {command}"
    assert next(closing(known)).endswith(command)
    here = known._replace(answers=msgspec.structs.replace(ANSWERS, host="127.0.0.1"))
    assert by_hand(here)[1].why.endswith("runs: mysql < /etc/hotdesk/secrets/grants.sql")


def test_an_account_that_only_lacks_rights_needs_no_password_in_the_file() -> None:
    known = KNOWN._replace(database=DATABASE._replace(administers=False, held=frozenset()))
    file, named = by_hand(known)
    assert (file.path, file.mode, b"IDENTIFIED" in file.content) == ("/etc/hotdesk/grants.sql", 0o644, False)
    assert named.why.endswith("mysql < /etc/hotdesk/grants.sql")


def test_a_schema_that_was_not_seen_has_statements_that_fit_any() -> None:
    file, named = by_hand(KNOWN._replace(database=InDatabase(unread="Access denied")))
    assert named.why.startswith("Access denied; an administrator of the database runs: ")
    assert b"\nPREPARE grants FROM @grants;" in file.content


def test_statements_that_were_run_are_found_and_their_file_removed() -> None:
    unseen = KNOWN._replace(database=InDatabase(unread="Access denied"))
    there, known = carried_out(steps(unseen))
    assert "/etc/hotdesk/secrets/grants.sql" in there
    held = needed(ANSWERS.purposes, COLUMNS)
    # the account sees the columns that it has a right to, and no others
    own = InDatabase(columns=frozenset((table, column) for table, column, _ in held), by_account=True, held=held)
    again = unseen._replace(database=own, seen=there, notes=known, machine=MACHINE._replace(active=True))
    (to_do,) = [each for each in steps(again) if each.state is not State.DONE]
    assert to_do.act == Remove("/etc/hotdesk/secrets/grants.sql")
    # of a right that is chosen since it cannot see whether it is there
    acting = again._replace(answers=msgspec.structs.replace(ANSWERS, purposes=frozenset({Purpose.ACT})))
    assert by_hand(acting)[0].path == "/etc/hotdesk/grants.sql"
    more = needed({Purpose.ACT}, COLUMNS)
    assert not any(each.state is State.BY_HAND for each in steps(acting._replace(database=own._replace(held=more))))


def test_an_account_with_another_password_is_not_given_a_new_one() -> None:
    known = KNOWN._replace(database=DATABASE._replace(has_account=True))
    (grants,) = [each for each in steps(known) if isinstance(each.act, Statements)]
    assert (grants.state, ANSWERS.password_file in grants.why) == (State.BY_HAND, True)


def test_an_account_that_setup_makes_is_dropped_again_and_an_older_one_is_not() -> None:
    (made,) = [each.act for each in steps(KNOWN) if isinstance(each.act, Statements)]
    assert made.back == "DROP USER IF EXISTS 'hotdesk'@'10.0.0.20';"
    old = KNOWN._replace(database=DATABASE._replace(creates_if_absent=False))
    (older,) = [each.act for each in steps(old) if isinstance(each.act, Statements)]
    assert older.back == "DROP USER 'hotdesk'@'10.0.0.20';"
    there = KNOWN._replace(database=DATABASE._replace(has_account=True, held=frozenset()))
    (kept,) = [each.act for each in steps(there) if isinstance(each.act, Statements)]
    assert kept.back == ""


FIREWALLS = {
    "firewalld": (
        Firewall("firewalld", "internal"),
        (
            'firewall-cmd --permanent --zone=internal \'--add-rich-rule=rule family="ipv4" source address="10.0.0.7"'
            ' port port="8470" protocol="tcp" accept\''
        ),
    ),
    "ufw": (Firewall("ufw"), "ufw allow from 10.0.0.7 to any port 8470 proto tcp"),
    "nftables": (
        Firewall("nftables", "inet filter input"),
        "nft insert rule inet filter input ip saddr 10.0.0.7 tcp dport 8470 accept comment '\"hotdesk 8470 10.0.0.7\"'",
    ),
}


@pytest.mark.parametrize("kind", FIREWALLS)
def test_a_firewall_lets_each_source_in_once_and_is_asked_about(kind: str) -> None:
    firewall, wanted = FIREWALLS[kind]
    made = [each for each in steps(KNOWN._replace(machine=MACHINE._replace(firewall=firewall))) if kind in each.what]
    assert [each.asks for each in made] == ["let them in through the firewall"] * 2
    act = made[0].act
    assert isinstance(act, Commands)
    assert wanted in [shlex.join(words) for words in act.run]
    assert len(act.back) == len(act.run)


@pytest.mark.parametrize("kind", FIREWALLS)
def test_the_guide_lets_collectors_in_to_dialers_by_the_same_rules(kind: str) -> None:
    guide = (ROOT / "docs" / "guide" / "probes.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
    shown = [tuple(shlex.split(line)) for block in blocks for line in block.splitlines()]
    firewall = FIREWALLS[kind][0]._replace(zone="" if kind == "firewalld" else FIREWALLS[kind][0].zone)
    step = opening(firewall, 5038, "192.0.2.10")
    assert step is not None
    assert isinstance(step.act, Commands)
    tcp = step.act.run[-1]  # of firewalld the one that stays
    assert tcp in shown
    assert tuple(word.replace("5038", "5060").replace("tcp", "udp") for word in tcp) in shown
    assert not any("iptables" in words for words in shown)


def test_no_firewall_is_said() -> None:
    assert [each.what for each in steps(KNOWN) if "firewall" in each.asks] == []
    assert any("No firewall was found" in line for line in closing(KNOWN))


def test_the_end_names_the_page_and_what_to_do_elsewhere() -> None:
    said = list(closing(KNOWN._replace(answers=msgspec.structs.replace(ANSWERS, ami=True))))
    assert said[0].startswith("The status page: http://10.0.0.20:8470/")
    assert any(
        "ssh root@10.0.0.7 hotdesk hook install --url http://10.0.0.20:8470 --cluster main" in line for line in said
    )
    assert any("dialer1 (10.0.0.11)" in line and "TCP 5038" in line for line in said)
    assert "    permit = 10.0.0.20/255.255.255.255" in said


def test_vicidials_own_settings_are_read_as_vicidial_reads_them() -> None:
    text = (
        "# astguiclient.conf\nPATHweb => /srv/www/htdocs  #### /var/www/html\nVARserver_ip => 10.0.0.11\n"
        "VARDB_server => 10.0.0.5\nVARDB_database=> asterisk\nVARDB_user => cron ; of VICIdial\nVARDB_pass => 1234\n"
        "VARDB_port   => 3307\nVARDB_custom_user => custom\n"
    )
    assert read_vicidial(text) == Vicidial("10.0.0.11", "10.0.0.5", 3307, "asterisk", "cron", "1234", "/srv/www/htdocs")
    assert read_vicidial("nothing => \nVARDB_port => x\n") == Vicidial()
    assert "1234" not in repr(read_vicidial(text))


def test_what_tools_say_is_read() -> None:
    assert systemd_version("systemd 249 (249.17+suse)\n+PAM +AUDIT") == 249
    assert systemd_version("there is no systemctl") == 0
    addresses = "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.0.0.20/24 brd 10.0.0.255 scope global\n"
    assert (interface_of("10.0.0.20", addresses), interface_of("10.0.0.2", addresses)) == ("eth0", "")
    ruleset = (
        "table ip nat {\n\tchain postrouting {\n\t\ttype nat hook postrouting priority 100; policy accept;\n\t}\n}\n"
        "table inet filter {\n\tchain early {\n\t}\n\tchain incoming {\n"
        "\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"
    )
    assert input_chain(ruleset) == "inet filter incoming"
    assert input_chain("table bridge x {\n\tchain y {\n\t\ttype filter hook input priority 0;\n\t}\n}\n") == ""


def test_without_a_systemd_all_else_is_done_and_the_place_of_its_init_is_told() -> None:
    bare = KNOWN._replace(machine=MACHINE._replace(systemd=0))
    assert acts(bare)["/var/lib/hotdesk"] == Folder("/var/lib/hotdesk", 0o700)
    assert UNIT not in acts(bare)
    *_, service = steps(bare)
    assert (service.state, service.why.partition(";")[0]) == (State.BY_HAND, "there is no systemd at work here")
    run = "/opt/hotdesk/current/bin/hotdesk run --config /etc/hotdesk/hotdesk.toml"
    assert f"    | {run}" in list(words_for(service))
    said, foreground, _, inittab, page, *_ = closing(bare)
    assert said.startswith("No systemd is at work here")
    assert (foreground, inittab) == (f"    {run}", f"    hd1:2345:respawn:{run}")
    assert page.startswith("The status page is then at")


BROKERS = ("kafka1:9092", "kafka2:9092")
OF_KAFKA = KNOWN._replace(
    answers=msgspec.structs.replace(ANSWERS, kafka=BROKERS, replication=2), kafka=InKafka(2, ("hotdesk.audit",))
)


def test_with_kafka_there_are_three_services_and_its_topics() -> None:
    made = steps(OF_KAFKA)
    assert {each.state for each in made} == {State.TO_DO}
    assert set(paths(OF_KAFKA.answers)) >= {each.act.path for each in made if isinstance(each.act, File | Folder)}
    found = acts(OF_KAFKA)
    assert [path for path in found if path.endswith(".service")] == [
        f"/etc/systemd/system/hotdesk-{role}.service" for role in ("collect", "control", "serve")
    ]
    log = tomllib.loads(settings_text(OF_KAFKA.answers))["log"]
    assert log == {"bootstrap": list(BROKERS), "replication": 2}
    topics, start = (each for each in made if isinstance(each.act, Commands) and "firewall" not in each.asks)
    assert topics.asks == "create the topics now"
    assert topics.act == Commands(((MACHINE.program, "topics", "create", "--config", ANSWERS.settings),))
    names = ("hotdesk-collect", "hotdesk-control", "hotdesk-serve")
    assert start.act == Commands(
        (("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", *names)),
        (("systemctl", "disable", "--now", *names),),
    )
    said = "\n".join(closing(OF_KAFKA))
    assert "copy /etc/hotdesk/secrets there, and set it up with the same brokers" in said
    assert "hotdesk setup --cluster main --kafka kafka1:9092,kafka2:9092" in said
    assert not any(token in said for token in MADE.tokens)


def test_a_collector_gets_a_digest_that_reads_and_kafkas_secrets_where_there_are_any() -> None:
    tokens = {
        "/etc/hotdesk/secrets/tokens": Seen(0o600, Owner("root", "root"), b"# web\nread  mine # Anna's\npick p\n")
    }
    mine = f"read sha256:{hashlib.sha256(b'mine').hexdigest()}"
    assert tokens_of_collectors(b"read sha256:abc\n") == "read sha256:abc"
    assert tokens_of_collectors(b"admin a\n") == ""
    password = {"/etc/hotdesk/secrets/kafka.password": Seen(0o600, Owner("root", "root"), b"k\n")}
    found = acts(OF_KAFKA._replace(seen=tokens | password))
    of_collect = found["/etc/hotdesk/secrets/tokens.collect"]
    assert isinstance(of_collect, File)
    assert (of_collect.content.decode(), of_collect.secret) == (f"{mine}\n", True)
    for path in OF_ROLE.values():
        drop_in = found[path]
        assert isinstance(drop_in, File)
        assert b"\nLoadCredential=kafka.password:" in drop_in.content
        assert b"\nLoadCredential=main.ami:" not in drop_in.content


def given(known: Known) -> dict[str, list[str]]:
    """Return the names of the secrets that each service is given."""
    found = {path: act for path, act in acts(known).items() if path.endswith("/secrets.conf")}
    assert [path for path, act in found.items() if not isinstance(act, File)] == []
    return {
        path.removeprefix("/etc/systemd/system/").partition(".")[0]: re.findall(
            r"^LoadCredential=(\S+?):", act.content.decode(), re.MULTILINE
        )
        for path, act in found.items()
        if isinstance(act, File)
    }


def test_each_role_is_given_the_secrets_that_it_needs_and_no_others() -> None:
    west = msgspec.structs.replace(OF_KAFKA.answers, cluster="west", ami=True)
    advising = {
        "hotdesk-collect": ["tokens", "west.password", "west.ami"],
        "hotdesk-control": ["tokens"],
        "hotdesk-serve": ["tokens"],
    }
    assert given(OF_KAFKA._replace(answers=west)) == advising
    acting = msgspec.structs.replace(west, purposes=frozenset({Purpose.ACT}))
    assert given(OF_KAFKA._replace(answers=acting)) == advising | {"hotdesk-control": ["tokens", "west.password"]}


def test_a_drop_in_of_earlier_that_gave_all_services_all_secrets_is_removed() -> None:
    there, known = carried_out(steps(OF_KAFKA))
    shared = Seen(0o644, Owner("root", "root"), b"[Service]\nLoadCredential=tokens:/etc/hotdesk/secrets/tokens\n")
    assert shared.content is not None
    noted = known.with_entry(Entry(what="write it", path=OF_ROLES, digest=digest(shared.content)))
    again = OF_KAFKA._replace(seen=there | {OF_ROLES: shared}, notes=noted)
    (step,) = [each for each in steps(again) if each.act == Remove(OF_ROLES)]
    assert step.state is State.TO_DO
    assert OF_ROLES in paths(again.answers)
    # taken back after that, it does not come again
    (undone,) = [each for each, _ in undoing(noted, there) if each.act == Remove(OF_ROLES)]
    assert undone.state is State.DONE
    (theirs,) = [each for each in steps(again._replace(notes=known)) if each.act == Remove(OF_ROLES)]
    assert (theirs.state, "remove it" in theirs.why) == (State.KEPT, True)


def test_an_older_systemd_has_one_drop_in_for_all_roles_and_it_names_no_secret() -> None:
    assert given(OF_KAFKA._replace(machine=MACHINE._replace(systemd=249))) == {"hotdesk-": []}


def test_one_service_makes_room_for_three_and_a_second_run_does_nothing() -> None:
    there, known = carried_out(steps(KNOWN))
    alone = OF_KAFKA._replace(seen=there, notes=known, machine=MACHINE._replace(alone=True))
    (stop,) = (each for each in steps(alone) if each.what.startswith("stop the service hotdesk"))
    assert stop.act == Commands(
        (("systemctl", "disable", "--now", "hotdesk"),), (("systemctl", "enable", "--now", "hotdesk"),)
    )
    # by what it did, whatever an older hotdesk called that
    started = known.with_entry(Entry(what="set it going", back=(("systemctl", "disable", "--now", "hotdesk"),)))
    (stop,) = (each for each in steps(alone._replace(notes=started)) if each.what == stop.what)
    assert stop.back == "it stays so"
    assert {each.what for each in steps(alone) if each.state is State.KEPT} == set()
    there, known = carried_out(steps(OF_KAFKA))
    again = OF_KAFKA._replace(
        machine=MACHINE._replace(active=True),
        database=DATABASE._replace(held=needed(ANSWERS.purposes, COLUMNS), has_account=True),
        seen=there,
        notes=known,
        kafka=InKafka(2),
    )
    assert [each.what for each in steps(again) if each.state is not State.DONE] == []


def test_with_kafka_and_no_systemd_each_role_is_a_command_with_its_port() -> None:
    said = list(closing(OF_KAFKA._replace(machine=MACHINE._replace(systemd=0))))
    assert (
        "    env HOTDESK_API_PORT=8471 /opt/hotdesk/current/bin/hotdesk collect --config /etc/hotdesk/hotdesk.toml"
        in said
    )
    assert "    hd3:2345:respawn:/opt/hotdesk/current/bin/hotdesk serve --config /etc/hotdesk/hotdesk.toml" in said


def test_the_brokers_of_settings_that_are_there_are_found_again() -> None:
    found = settled_in(tomllib.loads(settings_text(OF_KAFKA.answers)), "")
    assert (found["log_bootstrap"], found["log_replication"]) == (",".join(BROKERS), 2)
