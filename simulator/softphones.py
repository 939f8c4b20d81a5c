"""Softphones that register with real dialers, and answer by themselves: baresip, a process each.

Their sound goes from their ear to their mouth, so that they need no sound card.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mirakuru import Executor
from mirakuru.exceptions import ExecutorError

from collectors.probes.sip import SIP_PORT
from simulator.asterisk import Asterisk, free_host, phone_secret

START_SECONDS = 10.0
MODULES = "/usr/lib/baresip/modules"
REGISTER_SECONDS = 60
MOST_CALLS = 4
"""Baresip's own default."""
REGISTERED = b" 200 OK "
"""Said once for each dialer with which it has registered."""
REFUSED = b"rejected call"

_CONFIG = """\
poll_method epoll
net_interface {host}
sip_listen {host}:{port}
call_max_calls {most_calls}
audio_player aubridge,ear
audio_source aubridge,ear
audio_alert aubridge,bell
audio_level no
rtp_ports 10000-19999
module_path {modules}
module g711.so
module aubridge.so
module_app account.so
"""
_ACCOUNT = (
    "<sip:{extension}@{host}:{port}>;auth_user={extension};auth_pass={secret};answermode={mode};"
    "regint={seconds};audio_codecs=pcmu\n"
)


class SoftphoneError(Exception):
    """A softphone cannot run; `str()` says what to do."""


class Softphone:
    """An agent's phone, as a context manager.

    Args:
        folder: for its settings and what it says; created.
        extension: the same on all dialers.
        dialers: that it registers with; they must be running when it starts.
        answers: whether it answers by itself; if not, it rings.
        most_calls: on one dialer; further ones are refused (486). For the phone a call outlives its dialer.
        accounts: the text of its file of accounts, if somebody else wrote that; with one account for each dialer.

    Start it from a thread that lives as long as it is needed, as an `Asterisk`.
    """

    def __init__(  # noqa: PLR0913 # a phone's own choices, each once
        self,
        folder: Path,
        extension: str,
        dialers: Sequence[Asterisk],
        *,
        answers: bool = True,
        most_calls: int = MOST_CALLS,
        accounts: str = "",
    ) -> None:
        self.extension = extension
        self._folder = folder
        self._dialers = dialers
        self._answers = answers
        self._most_calls = most_calls
        self._written_accounts = accounts
        self._process: _Process | None = None

    def start(self) -> None:
        """Start it, and return when it is registered with all its dialers; nothing if it runs already.

        Raises:
            SoftphoneError: there is no baresip, or it could not register.
        """
        if self._process is not None:
            return
        self._write_settings()
        with self._said.open("wb") as output:
            process = _Process(self._folder, self._said, len(self._dialers), output)
            try:
                process.start()
            except ExecutorError as error:
                process.kill()
                raise SoftphoneError(f"{self.extension} did not register: {self._said.read_text()[-400:]}") from error
        self._process = process

    def kill(self) -> None:
        """Pull its plug (SIGKILL): no dialer hears that it is gone. Nothing if it is off."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    @property
    def refusals(self) -> int:
        """How many calls it has refused since it was started."""
        return self._said.read_bytes().count(REFUSED)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def _said(self) -> Path:
        return self._folder / "said"

    def _write_settings(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = _CONFIG.format(
            host=free_host(),
            port=SIP_PORT,
            most_calls=self._most_calls,
            modules=MODULES,
        )
        (self._folder / "config").write_text(config)
        if self._written_accounts:
            (self._folder / "accounts").write_text(self._written_accounts)
            return
        accounts = [
            _ACCOUNT.format(
                extension=self.extension,
                host=dialer.host,
                port=dialer.sip_port,
                secret=phone_secret(self.extension),
                mode="auto" if self._answers else "manual",
                seconds=REGISTER_SECONDS,
            )
            for dialer in self._dialers
        ]
        (self._folder / "accounts").write_text("".join(accounts))


class _Process(Executor):
    """Baresip's process; ready when it has registered with all dialers."""

    def __init__(self, folder: Path, said: Path, dialers: int, output: IO[bytes]) -> None:
        baresip, setpriv = shutil.which("baresip"), shutil.which("setpriv")
        if baresip is None or setpriv is None:
            raise SoftphoneError("no baresip or no setpriv on the PATH: install baresip-core and util-linux")
        super().__init__(
            [setpriv, "--pdeathsig", "KILL", baresip, "-f", str(folder)],
            timeout=START_SECONDS,
            sleep=0.02,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        self._said = said
        self._dialers = dialers

    def pre_start_check(self) -> bool:
        return False

    def after_start_check(self) -> bool:
        return self._said.read_bytes().count(REGISTERED) >= self._dialers
