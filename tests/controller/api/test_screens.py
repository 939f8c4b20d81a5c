"""A screen has its order whichever hook and hotdesk it logged in by; whoever reads the log has none."""

from hashlib import sha256

import msgspec
import pytest

from controller.api.screens import kept_of, may_be_kept_as
from controller.core.picks import answer_relogin
from messages.codes import NoRelogin
from messages.records import LoginClaim, LoginSlot
from tests.support.builders import ONE, TWO, desk_state, dialer, slot

MARK = "0f" * 16
OLD_HOOK = sha256(MARK.encode()).hexdigest()
"""What an older hook sends in place of a mark."""


def _answer(kept: str, sent: str) -> LoginSlot | NoRelogin:
    state = desk_state(dialer(ONE), dialer(TWO))
    claim = LoginClaim(alias_id="desk", phone_login="p1", server_ip=ONE, screen=kept)
    login = msgspec.structs.replace(slot("1001"), used_by=7, claims=(claim,))
    state.decided.reserve(msgspec.structs.replace(slot("1001", TWO), planned=True, login=login))
    return answer_relogin(state, *may_be_kept_as(sent))


@pytest.mark.parametrize("sent", [MARK, OLD_HOOK], ids=["asks by the hook", "asks by an older hook"])
@pytest.mark.parametrize(
    "kept", [kept_of(MARK), kept_of(OLD_HOOK), OLD_HOOK], ids=["hook", "older hook", "older hook and hotdesk"]
)
def test_a_screen_has_its_order_over_an_upgrade(kept: str, sent: str) -> None:
    downgraded = kept == kept_of(MARK) and sent == OLD_HOOK
    assert isinstance(_answer(kept, sent), LoginSlot) is not downgraded


@pytest.mark.parametrize("kept", [kept_of(MARK), kept_of(OLD_HOOK)])
def test_what_stands_in_the_log_is_no_mark(kept: str) -> None:
    for sent in (kept, kept.partition(":")[2], "", "00" * 16):
        assert _answer(kept, sent) is NoRelogin.NONE
