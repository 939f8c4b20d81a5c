"""Softphones that a real Asterisk calls into its conference rooms, and what VICIdial's tables show of it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from simulator.asterisk import Asterisk, AsteriskTree, free_host
from simulator.asterisk_manager import AsteriskManager
from simulator.phones import PhoneCall
from simulator.real_phones import RealPhones
from simulator.softphones import Softphone, SoftphoneError
from tests.support.processes import Site, until

ROOT = Path(__file__).parents[2]
EXTENSIONS = ("1001", "1002", "1003")
ROOMS = ("8600051", "8600052", "8600053")


@pytest.fixture
def dialer(tmp_path: Path) -> Iterator[Asterisk]:
    """Yield a dialer that has rooms, and knows three phones."""
    tree = AsteriskTree(Path(os.environ.get("HOTDESK_ASTERISK_TREE") or ROOT / ".parts" / "asterisk"))
    with Asterisk(tree, tmp_path / "dialer", free_host(), phones=EXTENSIONS, rooms=True) as made:
        yield made


@pytest.fixture
def phones(dialer: Asterisk, tmp_path: Path) -> Iterator[list[Softphone]]:
    """Yield a phone that answers, one that only rings, and one with a single line."""
    answers, rings, one_line = EXTENSIONS
    with ExitStack() as stack:
        yield [
            stack.enter_context(each)
            for each in (
                Softphone(tmp_path / answers, answers, [dialer]),
                Softphone(tmp_path / rings, rings, [dialer], answers=False),
                Softphone(tmp_path / one_line, one_line, [dialer], most_calls=1),
            )
        ]


def shown(at: Site) -> dict[str, str]:
    """Return where the tables show which phone."""
    with at.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT channel, extension FROM live_sip_channels")
        return {channel.partition("-")[0]: extension for channel, extension in cursor.fetchall()}


def test_a_phone_is_in_its_room_once_it_has_answered_and_shown_there(
    dialer: Asterisk, phones: list[Softphone], west: Site
) -> None:
    server_ip, manager = west.plan.dialer_plans[0].server_ip, AsteriskManager(dialer)
    sender = RealPhones({server_ip: dialer})
    calls = [PhoneCall(server_ip, f"SIP/{phone}", room) for phone, room in zip(EXTENSIONS, ROOMS, strict=True)]

    def heard() -> list[str]:
        return [channel.partition("-")[0] for room in ROOMS for channel in manager.in_room(room)]

    with west.connect() as connection:
        sender.call(connection, calls)
        until(lambda: heard() == ["SIP/1001", "SIP/1003"] and len(manager.channels()) == 3, "they have answered")
        sender.show(connection, server_ip)
        assert shown(west) == {"SIP/1001": ROOMS[0], "SIP/1002": "", "SIP/1003": ROOMS[2]}
        sender.hang_up(connection, calls[0])
        until(lambda: heard() == ["SIP/1003"], "it is hung up")
        sender.call(connection, calls)
        until(lambda: phones[2].refusals and heard() == ["SIP/1001", "SIP/1003"], "one has no second line")
        dialer.kill()
        sender.call(connection, calls)
        sender.hang_up(connection, calls[0])
        sender.show(connection, server_ip)
        assert len(shown(west)) == 3, "the tables stand still with the dialer"


def test_a_phone_that_cannot_register_says_so(
    dialer: Asterisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.softphones.START_SECONDS", 0.5)
    stranger = Softphone(tmp_path / "1009", "1009", [dialer])
    with pytest.raises(SoftphoneError, match=r"(?s)1009 did not register: .*40[34]"):
        stranger.start()
