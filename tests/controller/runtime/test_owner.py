"""An owner whose group falls silent: what it was assigned stands, and is not believed."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.runtime.owner import Owner
from messages.codes import ReasonCode
from stream.embedded.log import EmbeddedLog
from stream.log import LogUnavailableError, Membership
from tests.support.builders import CLUSTER, PARTITIONS, eventually


class SilentGroup(EmbeddedLog):
    """A log whose group answers or not, as a test says."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, PARTITIONS)
        self.joined = 0
        self.silent = threading.Event()

    def join(self, group: str) -> Membership:  # type: ignore[override] # one that may be silent
        self.joined += 1
        return _SilentMembership(super().join(group), self.silent)


class _SilentMembership:
    def __init__(self, real: Membership, silent: threading.Event) -> None:
        self._real = real
        self._silent = silent

    def owned(self, timeout_seconds: float) -> frozenset[int]:
        if self._silent.is_set():
            raise LogUnavailableError("nobody answers")
        return self._real.owned(timeout_seconds)

    def close(self) -> None:
        self._real.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SilentGroup]:
    """Yield a log with a group."""
    with SilentGroup(tmp_path / "log.db") as made:
        yield made


def test_a_member_of_a_silent_group_owns_nothing_and_need_not_join_again(log: SilentGroup) -> None:
    owner, stop = Owner(log), threading.Event()
    keeping = threading.Thread(target=owner.keep_membership, args=(stop,))
    keeping.start()
    with closing(_Ending(keeping, stop)):
        assert eventually(lambda: owner.ownership.assignment.partitions == frozenset(range(PARTITIONS)))
        log.silent.set()
        assert eventually(lambda: _code(owner) is ReasonCode.NOT_OWNER)
        assert owner.ownership.assignment.partitions, "or it would follow nothing, and read all anew"
        log.silent.clear()
        assert eventually(lambda: _code(owner) is ReasonCode.NOT_CLAIMED)
        assert log.joined == 1


def test_a_member_that_its_group_never_answers_again_joins_anew(
    log: SilentGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.runtime.owner.SILENT_SECONDS", 0.0)
    owner, stop = Owner(log), threading.Event()

    def keep() -> None:
        with pytest.raises(LogUnavailableError):
            owner.keep_membership(stop)

    keeping = threading.Thread(target=keep)
    keeping.start()
    with closing(_Ending(keeping, stop)):
        assert eventually(lambda: bool(owner.ownership.assignment.partitions))
        log.silent.set()
        keeping.join(20)
        assert not owner.ownership.assignment.partitions


class _Ending:
    def __init__(self, thread: threading.Thread, stop: threading.Event) -> None:
        self._thread = thread
        self._stop = stop

    def close(self) -> None:
        self._stop.set()
        self._thread.join(20)


def _code(owner: Owner) -> ReasonCode | None:
    why = owner.why_not(CLUSTER)
    return None if why is None else why.code
