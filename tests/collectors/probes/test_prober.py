"""The prober: who is watched is asked each second, apart from all others, and read at any moment."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from statistics import median

import msgspec
import pytest
import structlog

from collectors.probes import prober as prober_module
from collectors.probes.ami import AmiTarget
from collectors.probes.pacing import MOST_REQUESTS, Pacing
from collectors.probes.prober import DialerProbes, ProbeException, Prober, ProbeSettings
from collectors.probes.sip import SipTarget
from messages.records import ProbeResult
from simulator.ports import free_port
from tests.support.ami_manager import SECRET as AMI_SECRET
from tests.support.ami_manager import USER, Manager
from tests.support.timing import on_this_machine

HOST = "127.0.0.1"
SECONDS = 20.0
SECRET = "opensesame"


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds."""
    tick = threading.Event()
    deadline = time.monotonic() + on_this_machine(SECONDS)
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        tick.wait(0.01)


class Dialer:
    """A SIP port that answers, or not, and notes when it was asked."""

    def __init__(self) -> None:
        self.answers = True
        self.asked_at: dict[str, float] = {}
        self.received = 0
        """Datagrams, those that were sent again too."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self._socket.settimeout(0.05)
        self.probes = DialerProbes(sip=SipTarget(host=HOST, port=self._socket.getsockname()[1]))
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._closed.is_set():
            with suppress(TimeoutError):
                data, address = self._socket.recvfrom(4096)
                self.received += 1
                found = dict(line.split(": ", 1) for line in data.decode().split("\r\n")[1:] if line)
                self.asked_at.setdefault(found["Call-ID"], time.monotonic())
                if self.answers:
                    answer = f"SIP/2.0 200 OK\r\nCall-ID: {found['Call-ID']}\r\nCSeq: {found['CSeq']}\r\n\r\n"
                    self._socket.sendto(answer.encode(), address)


@pytest.fixture
def dialer() -> Iterator[Dialer]:
    """Yield a dialer that answers SIP."""
    one = Dialer()
    yield one
    one.close()


@contextmanager
def silent_ami() -> Iterator[AmiTarget]:
    """Yield an AMI port that accepts and says nothing."""
    with socket.create_server((HOST, 0)) as server:
        yield AmiTarget(host=HOST, port=server.getsockname()[1], user="hotdesk", secret=SECRET)


def test_both_kinds_of_each_dialer_are_told(dialer: Dialer) -> None:
    with silent_ami() as ami:
        gone = AmiTarget(host=HOST, port=free_port(), user="hotdesk", secret=SECRET)
        probes = {
            "192.0.2.11": DialerProbes(ami=ami, sip=dialer.probes.sip),
            "192.0.2.12": DialerProbes(ami=gone),
            "192.0.2.13": DialerProbes(),
        }
        expected = {
            "192.0.2.11": {"ami": ProbeResult.MUTE, "sip": ProbeResult.ALIVE},
            "192.0.2.12": {"ami": ProbeResult.REFUSED},
        }
        with Prober(probes, timeout_seconds=0.2) as prober:
            until(lambda: prober.latest() == expected)


def test_what_is_read_never_changes(dialer: Dialer) -> None:
    with Prober({"192.0.2.11": dialer.probes}, interval_seconds=0.05, timeout_seconds=0.1) as prober:
        until(lambda: bool(prober.latest()))
        before = prober.latest()
        dialer.answers = False
        until(lambda: prober.latest()["192.0.2.11"]["sip"] is ProbeResult.MUTE)
        assert before["192.0.2.11"]["sip"] is ProbeResult.ALIVE
        for mapping in (before, before["192.0.2.11"]):
            with pytest.raises(TypeError):
                mapping["192.0.2.11"] = {}  # type: ignore[index]


def test_a_probe_begins_each_interval_and_never_overlaps_itself(dialer: Dialer) -> None:
    dialer.answers = False
    with Prober({"192.0.2.11": dialer.probes}, interval_seconds=0.1, timeout_seconds=0.3):
        until(lambda: len(dialer.asked_at) >= 4)
    begun = list(dialer.asked_at.values())
    # a machine under load is late to receive one: probes that overlap begin 0.1 s apart, one and all
    assert median(later - earlier for earlier, later in itertools.pairwise(begun)) >= 0.2


def test_dialers_come_and_go_and_who_stays_is_not_disturbed(dialer: Dialer) -> None:
    other = Dialer()
    try:
        with Prober({}) as prober:
            assert prober.latest() == {}
            prober.watch({"192.0.2.11": dialer.probes})
            until(lambda: set(prober.latest()) == {"192.0.2.11"})
            prober.watch({"192.0.2.11": dialer.probes, "192.0.2.12": other.probes})
            until(lambda: set(prober.latest()) == {"192.0.2.11", "192.0.2.12"})
            asked = len(dialer.asked_at)
            prober.watch({"192.0.2.12": other.probes})
            assert set(prober.latest()) == {"192.0.2.12"}
            times = len(other.asked_at)
            until(lambda: len(other.asked_at) > times + 1)
            assert len(dialer.asked_at) <= asked + 1
    finally:
        other.close()


def test_a_dialer_that_moved_is_asked_at_its_new_address(dialer: Dialer) -> None:
    with silent_ami() as ami, Prober({"192.0.2.11": DialerProbes(ami=ami)}, timeout_seconds=0.1) as prober:
        until(lambda: prober.latest().get("192.0.2.11") == {"ami": ProbeResult.MUTE})
        prober.watch({"192.0.2.11": dialer.probes})
        until(lambda: prober.latest().get("192.0.2.11") == {"sip": ProbeResult.ALIVE})


def test_the_slow_do_not_hold_up_the_quick(dialer: Dialer) -> None:
    with silent_ami() as ami:
        probes = {f"192.0.2.{number}": DialerProbes(ami=ami) for number in range(100, 200)}
        with Prober(probes | {"192.0.2.11": dialer.probes}, interval_seconds=0.1) as prober:
            until(lambda: len(dialer.asked_at) >= 5)
            assert prober.latest()["192.0.2.11"] == {"sip": ProbeResult.ALIVE}


def test_few_places_are_shared(dialer: Dialer) -> None:
    with silent_ami() as ami:
        probes = {f"192.0.2.{number}": DialerProbes(ami=ami) for number in range(100, 103)}
        probes["192.0.2.11"] = dialer.probes
        with Prober(probes, at_once=1, interval_seconds=0.05, timeout_seconds=0.05) as prober:
            until(lambda: len(prober.latest()) == 4)


def test_it_stops_within_a_second_and_leaves_no_thread(dialer: Dialer) -> None:
    before = set(threading.enumerate())
    with silent_ami() as ami:
        prober = Prober({"192.0.2.11": DialerProbes(ami=ami, sip=dialer.probes.sip)}, timeout_seconds=30)
        prober.start()
        until(lambda: bool(prober.latest()))
        begin = time.monotonic()
        prober.stop()
        prober.stop()
        assert time.monotonic() - begin < on_this_machine(1)
        assert set(threading.enumerate()) <= before


def test_one_that_never_started_or_starts_just_now_stops_too() -> None:
    before = set(threading.enumerate())
    Prober({}).stop()
    prober = Prober({})
    prober.start()
    prober.stop()
    assert set(threading.enumerate()) <= before


def test_old_news_is_no_news(dialer: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober_module, "FRESH_SECONDS", 0.2)
    with Prober({"192.0.2.11": dialer.probes}, interval_seconds=60) as prober:
        until(lambda: bool(prober.latest()))
        until(lambda: not prober.latest())


def test_a_trouble_of_ones_own_is_no_vote(dialer: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("collectors.probes.sip._new_socket", none_left)
    with structlog.testing.capture_logs() as said:
        with Prober({"192.0.2.11": dialer.probes}, interval_seconds=0.02) as prober:
            until(lambda: bool(said))
            assert prober.latest() == {}
        assert [each["event"] for each in said] == ["cannot probe"]


def test_a_probe_that_breaks_says_so(dialer: Dialer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("collectors.probes.sip._new_socket", broken)
    with structlog.testing.capture_logs() as said, Prober({"192.0.2.11": dialer.probes}):
        until(lambda: bool(said))
    assert said[0]["event"] == "a probe failed by a bug"
    assert said[0]["probe"] == "sip 192.0.2.11"


def test_paced_it_is_asked_once_in_calm_and_in_doubt_a_few_times_more_and_every_request_is_counted(
    dialer: Dialer,
) -> None:
    ip = "192.0.2.11"
    with Prober({ip: dialer.probes}, timeout_seconds=0.2, pacing=Pacing()) as prober:
        until(lambda: prober.latest().get(ip) == {"sip": ProbeResult.ALIVE})
        assert dialer.received == 1
        dialer.answers = False
        prober.doubt({ip})
        assert prober.latest() == {}
        until(lambda: prober.latest().get(ip) == {"sip": ProbeResult.MUTE})
        until(lambda: dialer.received == 3)
        dialer.answers = True
        prober.doubt(())
        prober.doubt({ip})
        # one is left, and a silence takes two to be proved: so there is no word, rather than a doubtful one
        assert prober.latest() == {}
        assert dialer.received == MOST_REQUESTS - 1


def test_paced_an_ami_that_was_alive_and_fails_is_a_doubt_too(dialer: Dialer) -> None:
    ip = "192.0.2.11"
    with Manager() as manager:
        probes = DialerProbes(
            ami=AmiTarget(host=HOST, port=manager.port, user=USER, secret=AMI_SECRET), sip=dialer.probes.sip
        )
        both = {"ami": ProbeResult.ALIVE, "sip": ProbeResult.ALIVE}
        with Prober({ip: probes}, interval_seconds=0.1, timeout_seconds=0.2, pacing=Pacing()) as prober:
            until(lambda: prober.latest().get(ip) == both)
            manager.freeze()
            until(lambda: prober.latest().get(ip) == both | {"ami": ProbeResult.MUTE})
            until(lambda: dialer.received == 2)


def test_a_new_prober_goes_on_with_the_old_ones_counts(dialer: Dialer) -> None:
    ip, pacing = "192.0.2.11", Pacing()
    for _ in range(2):
        with Prober({ip: dialer.probes}, pacing=pacing) as prober:
            until(lambda: dialer.received == 1)
            until(lambda: prober.latest().get(ip) == {"sip": ProbeResult.ALIVE})
    assert dialer.received == 1


def test_by_default_nothing_is_probed() -> None:
    assert ProbeSettings().probes_of(["192.0.2.11"]) == {"192.0.2.11": DialerProbes()}


def test_settings_say_what_is_probed_where() -> None:
    settings = ProbeSettings(
        ami_user="hotdesk",
        ami_secret=SECRET,
        sip=True,
        dialers={
            "192.0.2.12": ProbeException(ami_host="198.51.100.12", ami_port=5039, sip=False),
            "192.0.2.13": ProbeException(ami=False, sip_port=5070),
            "dialer4": ProbeException(sip_host="192.0.2.14"),
        },
    )

    def ami(host: str, port: int = 5038) -> AmiTarget:
        return AmiTarget(host=host, port=port, user="hotdesk", secret=SECRET)

    assert settings.probes_of(["192.0.2.11", "192.0.2.12", "192.0.2.13", "dialer4", "dialer5"]) == {
        "192.0.2.11": DialerProbes(ami=ami("192.0.2.11"), sip=SipTarget(host="192.0.2.11")),
        "192.0.2.12": DialerProbes(ami=ami("198.51.100.12", 5039)),
        "192.0.2.13": DialerProbes(sip=SipTarget(host="192.0.2.13", port=5070)),
        "dialer4": DialerProbes(sip=SipTarget(host="192.0.2.14")),
        "dialer5": DialerProbes(),
    }


def test_the_secret_is_not_shown() -> None:
    settings = ProbeSettings(ami_user="hotdesk", ami_secret=SECRET, sip=True)
    prober = Prober(settings.probes_of(["192.0.2.11"]))
    assert SECRET not in f"{settings!r} {settings} {settings.probes_of(['192.0.2.11'])} {prober!r} {vars(prober)}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"ami_port": 0},
        {"sip_port": 65_536},
        {"ami_user": "a\nb"},
        {"ami_user": "a", "ami_secret": "b\rc"},
        {"dialers": {"192.0.2.11": {"ami_host": "dialer1"}}},
        {"dialers": {"192.0.2.11": {"ami_prot": 5038}}},
        {"sipp": True},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(wrong), type=ProbeSettings)


def test_registered_phones_are_asked_for_where_that_is_wanted_and_by_the_same_login() -> None:
    with Manager() as wanted, Manager() as left_alone:
        wanted.one_login, wanted.peers = True, {"2001": True}
        probes = {
            ip: DialerProbes(ami=AmiTarget(host=HOST, port=each.port, user=USER, secret=AMI_SECRET))
            for ip, each in (("192.0.2.11", wanted), ("192.0.2.12", left_alone))
        }
        with Prober(probes, interval_seconds=0.05) as prober:
            prober.registrations.watch(["192.0.2.11"])
            until(lambda: prober.registrations.latest() == {"192.0.2.11": {"SIP/2001": True}})
            asked = wanted.pings
            until(lambda: wanted.pings > asked + 3 and left_alone.pings > 0)
            assert (wanted.logins, wanted.phone_lists, left_alone.phone_lists) == (1, 1, 0)
            prober.registrations.watch(["192.0.2.12"])
            until(lambda: prober.registrations.latest() == {"192.0.2.12": {}})
