"""The file that hotdesk writes for a softphone: a real one registers by it with real dialers, and is called there."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from simulator.asterisk import AMI_SECRET, AMI_USER, Asterisk, AsteriskTree, free_hosts, phone_secret
from simulator.database import Database
from simulator.plan import ClusterPlan
from simulator.softphones import Softphone
from tests.support.commands import Command
from tests.support.processes import Site, grants, site

ROOT = Path(__file__).parents[2]
READINESS = ROOT / "collectors" / "grants-readiness.sql"
EXTENSION = "7001"


@pytest.fixture
def dialers(tmp_path: Path) -> Iterator[list[Asterisk]]:
    """Yield two dialers that know one phone, and an account that may call it."""
    tree = AsteriskTree(Path(os.environ.get("HOTDESK_ASTERISK_TREE") or ROOT / ".parts" / "asterisk"))
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Asterisk(tree, tmp_path / host, host, phones=[EXTENSION], rooms=True, permissions="reporting,originate")
            )
            for host in free_hosts(2)
        ]


@pytest.fixture
def office(database: Database, dialers: list[Asterisk]) -> Iterator[Site]:
    """Yield their cluster, with a desk on both."""
    plan = ClusterPlan(dialers=2, agents=1, remote_agents=0, first_ip=dialers[0].host)
    with site(database, plan) as made:
        phones = ", ".join(
            f"('{EXTENSION}', '{each.host}', '{EXTENSION}{letter}', 'typed', '{phone_secret(EXTENSION)}')"
            for each, letter in zip(dialers, "ab", strict=True)
        )
        made.run(
            *grants(made, READINESS),
            "DELETE FROM phones",
            "DELETE FROM phones_alias",
            f"INSERT INTO phones (extension, server_ip, login, pass, conf_secret) VALUES {phones}",
            "INSERT INTO phones_alias (alias_id, logins_list) VALUES ('desk7001', '7001a,7001b')",
        )
        yield made


def test_a_softphone_registers_by_its_file_and_answers_on_each_dialer(
    command: Command, office: Site, dialers: list[Asterisk], tmp_path: Path
) -> None:
    prefix = "HOTDESK_CLUSTERS__WEST__"
    account = {f"{prefix}AMI_USER": AMI_USER, f"{prefix}AMI_SECRET": AMI_SECRET, f"{prefix}SIP_PORT": "5060"}
    environment = office.environment | account
    before = command("aliases", "verify", "--json", **environment)
    assert before.code == 1
    assert {each["registration"] for each in json.loads(before.output)} == {"not registered"}
    silent = command("aliases", "verify", "--ring", "desk7001", "--yes", **environment)
    assert silent.code == 1
    assert silent.output.count("it did not answer") == 2

    written = command("aliases", "phones", "--format", "baresip", "--to", "files", **environment)
    assert written.code == 0, written.errors
    accounts = (tmp_path / "files" / "desk7001.baresip").read_text()
    with Softphone(tmp_path / "phone", EXTENSION, dialers, accounts=accounts):
        verified = command("aliases", "verify", **environment)
        assert verified.code == 0, verified.output
        rung = command("aliases", "verify", "--ring", "desk7001", "--yes", **environment)
        assert rung.output.splitlines() == [
            f"DIALER{number} ({each.host}): answered" for number, each in enumerate(dialers, 1)
        ]
        assert rung.code == 0
