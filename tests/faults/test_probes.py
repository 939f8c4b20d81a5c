"""What a real Asterisk 16 looks like to its probes: alive, hung, gone, locked."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from collectors.probes.ami import AmiProbe, AmiTarget, probe_ami
from collectors.probes.pacing import Pacing
from collectors.probes.prober import Prober, ProbeSettings
from hotdesk.service import Service
from hotdesk.settings import ApiOptions, LogOptions
from hotdesk.wanted import Role, Wanted
from messages.records import ProbeResult
from simulator.asterisk import AMI_SECRET, AMI_USER, Asterisk, AsteriskTree, free_host
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.processes import CLUSTER, Client, site
from tests.support.timing import on_this_machine

SETTINGS = ProbeSettings(ami_user=AMI_USER, ami_secret=AMI_SECRET, sip=True, sip_pace="every_second")
SECONDS = 20.0
ROOT = Path(__file__).parents[2]

ALIVE = {"ami": ProbeResult.ALIVE, "sip": ProbeResult.ALIVE}
MUTE = {"ami": ProbeResult.MUTE, "sip": ProbeResult.MUTE}
REFUSED = {"ami": ProbeResult.REFUSED, "sip": ProbeResult.REFUSED}


def until(condition: Callable[[], bool]) -> float:
    """Wait until it holds, and give how many seconds it took."""
    tick = threading.Event()
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() < begin + on_this_machine(SECONDS), "not in time"
        tick.wait(0.01)
    return time.monotonic() - begin


@pytest.fixture(scope="module")
def tree() -> AsteriskTree:
    """Return the Debian that holds Asterisk."""
    return AsteriskTree(Path(os.environ.get("HOTDESK_ASTERISK_TREE") or ROOT / ".parts" / "asterisk"))


@pytest.fixture
def dialers(tree: AsteriskTree, tmp_path: Path) -> Iterator[list[Asterisk]]:
    """Yield two dialers that run side by side."""
    with ExitStack() as stack:
        yield [stack.enter_context(Asterisk(tree, tmp_path / name, free_host())) for name in ("one", "two")]


def test_each_fault_shows_on_its_own_dialer_only(dialers: list[Asterisk]) -> None:
    one, two = dialers
    with Prober(SETTINGS.probes_of([one.host, two.host])) as prober:
        until(lambda: prober.latest() == {one.host: ALIVE, two.host: ALIVE})
        one.freeze()
        assert until(lambda: prober.latest()[one.host] == MUTE) < on_this_machine(3)
        assert prober.latest()[two.host] == ALIVE
        one.thaw()
        assert until(lambda: prober.latest()[one.host] == ALIVE) < on_this_machine(3)
        one.kill()
        assert until(lambda: prober.latest()[one.host] == REFUSED) < on_this_machine(2)
        assert prober.latest()[two.host] == ALIVE
        one.start()
        assert until(lambda: prober.latest()[one.host] == ALIVE) < on_this_machine(2)
        two.stop()
        assert until(lambda: prober.latest()[two.host] == REFUSED) < on_this_machine(2)


def test_one_that_hangs_stays_mute_when_its_queue_of_connections_is_full(dialers: list[Asterisk]) -> None:
    one, _ = dialers

    async def run() -> tuple[list[ProbeResult], ProbeResult]:
        kept = AmiProbe(AmiTarget(host=one.host, user=AMI_USER, secret=AMI_SECRET))
        told = [await kept.probe(1)]
        one.freeze()
        others = [AmiProbe(AmiTarget(host=one.host, user="other", secret="other")) for _ in range(12)]
        crowded = [await other.probe(0.1) for other in others]
        told += [await kept.probe(0.1) for _ in range(3)]
        for other in others:
            other.close()
        one.thaw()
        told.append(await kept.probe(5))
        kept.close()
        return told, crowded[-1]

    told, newcomer = asyncio.run(run())
    assert told == [ProbeResult.ALIVE, *[ProbeResult.MUTE] * 3, ProbeResult.ALIVE]
    assert newcomer is ProbeResult.UNREACHABLE


def test_one_that_hung_before_it_was_first_asked_is_mute_until_it_goes_on(dialers: list[Asterisk]) -> None:
    one, _ = dialers
    one.freeze()
    with Prober(SETTINGS.probes_of([one.host]), interval_seconds=0.1, timeout_seconds=0.1) as prober:
        until(lambda: prober.latest() == {one.host: MUTE})
        one.thaw()
        until(lambda: prober.latest() == {one.host: ALIVE})


def test_a_wrong_password_is_denied_and_tried_once(dialers: list[Asterisk], tmp_path: Path) -> None:
    one, _ = dialers
    wrong = ProbeSettings(ami_user=AMI_USER, ami_secret="wrong", sip=True)
    denied = {"ami": ProbeResult.DENIED, "sip": ProbeResult.ALIVE}
    with Prober(wrong.probes_of([one.host]), interval_seconds=0.1) as prober:
        until(lambda: prober.latest() == {one.host: denied})
    log = (tmp_path / "one" / "log" / "messages").read_text()
    assert log.count("failed to authenticate") == 1


def test_an_asterisk_that_starts_again_says_so(tree: AsteriskTree, tmp_path: Path) -> None:
    with Asterisk(tree, tmp_path / "one", free_host(), permissions="reporting") as one:
        probes = SETTINGS.probes_of([one.host])
        with Prober(probes) as prober:
            until(lambda: one.host in prober.started())
            before = prober.started()[one.host]
            one.kill()
            until(lambda: prober.latest()[one.host].get("ami") is ProbeResult.REFUSED)
            # it says whole seconds
            until(lambda: time.strftime("%Y-%m-%d %H:%M:%S") > before)
            one.start()
            until(lambda: prober.started().get(one.host, before) != before)
            assert prober.latest()[one.host]["ami"] is ProbeResult.ALIVE


def test_an_account_without_a_permission_is_enough(dialers: list[Asterisk]) -> None:
    one, _ = dialers
    target = AmiTarget(host=one.host, port=one.ami_port, user=AMI_USER, secret=AMI_SECRET)
    assert asyncio.run(probe_ami(target, 1)).result is ProbeResult.ALIVE


def test_what_probes_tell_goes_from_the_dialers_through_log_and_controller_to_the_metrics(
    dialers: list[Asterisk], database: Database, tmp_path: Path
) -> None:
    one, two = dialers
    before = set(threading.enumerate())
    with site(database, ClusterPlan(dialers=2, agents=2, remote_agents=0)) as west:
        for dialer, plan in zip(dialers, west.plan.dialer_plans, strict=True):
            west.run(f"UPDATE servers SET server_ip = '{dialer.host}' WHERE server_ip = '{plan.server_ip}'")
        wanted = Wanted(
            roles=frozenset(Role),
            log=LogOptions(path=tmp_path / "log.db", partitions=4),
            api=ApiOptions(port=0),
            databases={CLUSTER: west.settings},
            policies={},
            probes={CLUSTER: SETTINGS},
        )
        with Service(wanted) as service, closing(Client(service.url)) as client:

            def both_tell(dialer: Asterisk, state: ProbeResult) -> bool:
                return client.metric("hotdesk_probe", server_ip=dialer.host, state=state) == len(ALIVE)

            until(lambda: both_tell(one, ProbeResult.ALIVE) and both_tell(two, ProbeResult.ALIVE))
            one.freeze()
            assert until(lambda: both_tell(one, ProbeResult.MUTE)) < on_this_machine(4)
            assert both_tell(two, ProbeResult.ALIVE)
            one.kill()
            assert until(lambda: both_tell(one, ProbeResult.REFUSED)) < on_this_machine(4)
            west.run(f"UPDATE servers SET active_asterisk_server = 'N' WHERE server_ip = '{two.host}'")
            until(lambda: client.metric("hotdesk_probe", server_ip=two.host) == 0)
    until(lambda: set(threading.enumerate()) <= before)


def test_in_doubt_each_is_asked_in_time_and_no_oftener_than_fail2ban_bears(dialers: list[Asterisk]) -> None:
    one, two = dialers
    by_sip = ProbeSettings(sip=True).probes_of([one.host, two.host])
    with Prober(by_sip, pacing=Pacing()) as prober:
        until(lambda: prober.latest() == {ip: {"sip": ProbeResult.ALIVE} for ip in by_sip})
        until(lambda: prober.latest() == {})
        one.freeze()
        prober.doubt({one.host})
        assert until(lambda: prober.latest().get(one.host) == {"sip": ProbeResult.MUTE}) < on_this_machine(2)
        until(lambda: prober.latest().get(two.host) == {"sip": ProbeResult.ALIVE})
        one.kill()
        two.kill()
        prober.doubt({one.host, two.host})
        # while most signs waver together it waits five seconds
        assert until(lambda: prober.latest().get(two.host) == {"sip": ProbeResult.REFUSED}) < on_this_machine(8)


def test_nothing_is_left_behind(tree: AsteriskTree, tmp_path: Path) -> None:
    with Asterisk(tree, tmp_path / "one", free_host()) as one:
        process = one.process_id
        one.freeze()
        one.stop()
        one.stop()
        one.kill()
    assert process is not None
    assert not Path(f"/proc/{process}").exists()
    assert str(tree.folder) not in Path("/proc/self/mounts").read_text()


STARTER = """
import os, signal, sys
from pathlib import Path
from simulator.asterisk import Asterisk, AsteriskTree, free_host
one = Asterisk(AsteriskTree(Path(sys.argv[1])), Path(sys.argv[2]), free_host())
one.start()
print(one.process_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_dies_with_whoever_started_it(tree: AsteriskTree, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tree.folder), str(tmp_path / "one")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    process = Path("/proc", done.stdout.strip())
    assert done.stdout.strip().isdigit(), done.stderr
    until(lambda: not process.exists() or "\nState:\tZ" in (process / "status").read_text())


PROBER = """
import asyncio
from collectors.probes.ami import AmiTarget, probe_ami
from collectors.probes.sip import SipTarget, probe_sip
print(asyncio.run(probe_ami(AmiTarget(host="192.0.2.11", user="hotdesk", secret="secret"), 1)).result)
print(asyncio.run(probe_sip(SipTarget(host="192.0.2.11"), 1)))
"""


@pytest.mark.usefixtures("tree")  # root is needed for a network of one's own, where there is no way to anybody
def test_without_a_way_there_both_are_unreachable() -> None:
    command = ["unshare", "--net", sys.executable, "-c", PROBER]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.stdout.split() == ["unreachable", "unreachable"], done.stderr


CUT = """
import asyncio, subprocess, sys
from pathlib import Path
from collectors.probes.ami import AmiProbe, AmiTarget
from simulator.asterisk import AMI_SECRET, AMI_USER, Asterisk, AsteriskTree

def network(state):
    subprocess.run(["ip", "link", "set", "lo", state], check=True)

async def told(probe, seconds, times):
    print(*[await probe.probe(seconds) for _ in range(times)], sep=",")

async def run(one):
    probe = AmiProbe(AmiTarget(host=one.host, user=AMI_USER, secret=AMI_SECRET))
    await told(probe, 1, 1)
    one.freeze()
    await told(probe, 1, 4)
    network("down")
    await told(probe, 1, 4)
    network("up")
    one.thaw()
    await told(probe, 5, 1)
    probe.close()

network("up")
with Asterisk(AsteriskTree(Path(sys.argv[1])), Path(sys.argv[2]), "127.0.0.11") as one:
    asyncio.run(run(one))
"""


def test_a_cut_network_is_told_from_a_dialer_that_hangs(tree: AsteriskTree, tmp_path: Path) -> None:
    command = ["unshare", "--net", sys.executable, "-c", CUT, str(tree.folder), str(tmp_path / "one")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stderr
    before, hung, cut, healed = (line.split(",") for line in done.stdout.splitlines())
    assert (before, hung, healed) == (["alive"], ["mute"] * 4, ["alive"])
    assert cut[-1] == "unreachable"
