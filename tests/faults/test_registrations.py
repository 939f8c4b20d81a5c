"""Phones that really register with a real Asterisk: the ranking of their alias leaves out where they are not."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from collectors.probes.ami import IN_USE, AmiProbe, AmiTarget, Answer, probe_ami
from collectors.probes.prober import ProbeException, ProbeSettings
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages.records import Ineligible, ProbeResult
from simulator.asterisk import AMI_SECRET, AMI_USER, Asterisk, AsteriskTree, free_host, phone_secret
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.processes import CLUSTER, Client, site, until

PLAN = ClusterPlan(dialers=2, agents=2, remote_agents=0)
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tree() -> AsteriskTree:
    """Return the Debian that holds Asterisk."""
    return AsteriskTree(Path(os.environ.get("HOTDESK_ASTERISK_TREE") or ROOT / ".parts" / "asterisk"))


def _extension(number: int) -> str:
    return PLAN.agent_plans[number].phones[0].extension


@pytest.fixture
def dialers(tree: AsteriskTree, tmp_path: Path) -> Iterator[list[Asterisk]]:
    """Yield two dialers that know the phones of both desks, and an account that may ask about them."""
    phones = [_extension(0), _extension(1)]
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                Asterisk(tree, tmp_path / name, free_host(), phones=phones, permissions="system,reporting")
            )
            for name in ("one", "two")
        ]


def register(dialer: Asterisk, extension: str, *, seconds: int = 600) -> None:
    """Have a softphone register; 0 seconds: it goes away."""
    done = subprocess.run(  # noqa: S603 (a tool, and words of ours)
        [
            *(shutil.which("sipsak") or "sipsak", "-U", "-s", f"sip:{extension}@{dialer.host}:{dialer.sip_port}"),
            *("-a", phone_secret(extension), "-u", extension, "-x", str(seconds)),
            *("-C", f"sip:{extension}@127.0.0.1:6060", "-H", "127.0.0.1"),
        ],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def told(dialer: Asterisk, *, secret: str = AMI_SECRET) -> dict[str, bool] | None:
    async def ask() -> dict[str, bool] | None:
        probe = AmiProbe(AmiTarget(host=dialer.host, port=dialer.ami_port, user=AMI_USER, secret=secret))
        try:
            await probe.probe(5)
            await probe.list_phones(5)
        finally:
            probe.close()
        return None if probe.registered is None else dict(probe.registered)

    return asyncio.run(ask())


def test_a_dialer_tells_who_is_registered(dialers: list[Asterisk]) -> None:
    one, two = dialers
    here, there = (f"SIP/{_extension(number)}" for number in (0, 1))
    assert told(one) == {here: False, there: False}
    register(one, _extension(0))
    assert told(one) == {here: True, there: False}
    assert told(two) == {here: False, there: False}
    register(one, _extension(0), seconds=0)
    assert told(one) == {here: False, there: False}


def test_who_may_not_ask_or_gets_no_answer_knows_nothing(tree: AsteriskTree, tmp_path: Path) -> None:
    with Asterisk(tree, tmp_path / "shy", free_host(), phones=["2001"]) as shy:
        assert told(shy) is None
        assert told(shy, secret="wrong") is None
    assert told(shy) is None


async def second_login(dialer: Asterisk) -> Answer:
    target = AmiTarget(host=dialer.host, port=dialer.ami_port, user=AMI_USER, secret=AMI_SECRET)
    first = AmiProbe(target)
    try:
        assert await first.probe(5) is ProbeResult.ALIVE
        return await probe_ami(target, 5)
    finally:
        first.close()


def test_a_dialer_with_pjsip_tells_who_is_registered_by_the_one_login_it_allows(
    tree: AsteriskTree, tmp_path: Path
) -> None:
    phones = [_extension(0), _extension(1)]
    with Asterisk(
        tree,
        tmp_path / "pjsip",
        free_host(),
        phones=phones,
        pjsip=True,
        permissions="reporting",
        general="allowmultiplelogin = no",
    ) as dialer:
        here, there = (f"PJSIP/{extension}" for extension in phones)
        assert told(dialer) == {here: False, there: False}
        register(dialer, phones[0])
        assert told(dialer) == {here: True, there: False}
        register(dialer, phones[0], seconds=0)
        until(lambda: told(dialer) == {here: False, there: False}, "it is gone")
        assert asyncio.run(second_login(dialer)) == (ProbeResult.DENIED, IN_USE)


def test_an_alias_is_offered_where_its_phone_is(database: Database, dialers: list[Asterisk], tmp_path: Path) -> None:
    first, second = PLAN.dialer_plans
    probes = ProbeSettings(
        ami_user=AMI_USER,
        ami_secret=AMI_SECRET,
        dialers={
            plan.server_ip: ProbeException(ami_host=dialer.host)
            for plan, dialer in zip((first, second), dialers, strict=True)
        },
    )
    register(dialers[0], _extension(0))
    with site(database, PLAN) as made:
        made.run("UPDATE phones SET peer_status = 'UNKNOWN'")
        wanted = Wanted(
            roles=frozenset(Role),
            log=LogOptions(path=tmp_path / "log.db", partitions=4),
            api=ApiOptions(port=0),
            databases={CLUSTER: made.settings},
            policies={},
            probes={CLUSTER: probes},
        )
        with made.living(), Service(wanted) as service, closing(Client(service.url)) as client:
            here, nowhere = (agent.alias for agent in PLAN.agent_plans)

            def absent(alias: str) -> set[str]:
                ranking = client.alias(alias)
                phones = () if ranking is None else ranking.phones
                return {each.server_ip for each in phones if Ineligible.NOT_REGISTERED in each.ineligible_because}

            until(lambda: absent(here) == {second.server_ip}, "the dialers were asked")
            assert client.pick("1001", here).server_ip == first.server_ip
            # registered nowhere: better an unanswered call than no login
            until(lambda: absent(nowhere) == {first.server_ip, second.server_ip}, "both dialers were asked")
            assert client.ask("1002", nowhere).is_success
            register(dialers[1], _extension(0))
            until(lambda: not absent(here), "the dialers were asked again", 40.0)
