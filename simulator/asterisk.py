"""Real Asterisk 16 dialers, each on a loopback address of its own, for tests of probes.

The look of an Asterisk that hangs, dies or refuses cannot be guessed. So this runs the real one by chroot, from the
Debian 11 that `tools/asterisk` unpacks. An instance sees its own folder as /dialer, mounted in a namespace of its
process: the mount ends with the process, however it ends.
"""

import contextlib
import ipaddress
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mirakuru import Executor
from mirakuru.exceptions import ExecutorError

from collectors.probes.ami import AMI_PORT, BANNER
from collectors.probes.sip import LONGEST_ANSWER, SIP_PORT, SipTarget, options_request

AMI_USER = "hotdesk"
AMI_SECRET = "for-this-dialer-only"  # noqa: S105 - it guards nothing
SENDER_USER = "sender"
"""The account of VICIdial's own scripts, which call phones."""
START_SECONDS = 30
"""One is usual."""
STOP_SECONDS = 5
ANSWER_SECONDS = 0.5
STEP_SECONDS = 0.001
QUOTED_LINES = 8

ROOMS_CONTEXT = "default"
"""The part of the dialplan in which each number is a room."""

_DIALER = "/dialer"
_MODULES = "/usr/lib/asterisk/modules"
_DATA = "/usr/share/asterisk"
_MODULES_FOR_SIP = ("chan_sip",)
"""As on VICIdial's dialers; the rest of 200 would only take time and memory."""
_MODULES_FOR_PJSIP = (
    *("res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb", "res_pjproject", "res_rtp_asterisk"),
    *("res_pjsip", "res_pjsip_session", "res_pjsip_endpoint_identifier_user", "res_pjsip_authenticator_digest"),
    *("res_pjsip_registrar", "res_pjsip_pubsub", "chan_pjsip", "res_manager_devicestate"),
)
_MODULES_FOR_ROOMS = (
    *("res_sorcery_config", "res_pjproject", "res_rtp_asterisk", "res_timing_timerfd"),
    *("codec_ulaw", "bridge_softmix", "app_confbridge", "pbx_config"),
    # a short tone in place of a room
    *("app_playback", "codec_gsm", "format_gsm"),
)
_SETTINGS = {
    "asterisk.conf": f"""\
[directories]
astetcdir => {_DIALER}/etc
astmoddir => {_MODULES}
astvarlibdir => {_DIALER}/lib
astdbdir => {_DIALER}/lib
astkeydir => {_DIALER}/lib
astdatadir => {_DATA}
astagidir => {_DIALER}/lib
astspooldir => {_DIALER}/spool
astrundir => {_DIALER}/run
astlogdir => {_DIALER}/log
[options]
nocolor = yes
""",
    "modules.conf": "[modules]\nautoload = no\n{load}",
    "logger.conf": "[general]\n[logfiles]\nmessages => notice,warning,error,security\n",
    "manager.conf": """\
[general]
enabled = yes
bindaddr = {host}
port = {ami_port}
{general}
[{user}]
secret = {secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.0/255.0.0.0
read =
write = {permissions}
[{sender}]
secret = {secret}
deny = 0.0.0.0/0.0.0.0
permit = 127.0.0.0/255.0.0.0
read =
write = originate,call,reporting
""",
    "sip.conf": "[general]\nudpbindaddr = {host}:{sip_port}\ntcpenable = no\ncontext = nowhere\n",
    "pjsip.conf": "[transport]\ntype = transport\nprotocol = udp\nbind = {host}:{sip_port}\n",
    "extensions.conf": f"""\
[{ROOMS_CONTEXT}]
exten => _X.,1,Answer()
same => n,ConfBridge(${{{{EXTEN}}}})
""",
    # an agent waits alone, and hears no announcement
    "confbridge.conf": """\
[general]
[default_bridge]
type = bridge
[default_user]
type = user
quiet = yes
""",
    "rtp.conf": "[general]\n",
    "features.conf": "[general]\n",
    "cdr.conf": "[general]\nenable = no\n",
    "cel.conf": "[general]\nenable = no\n",
}

_PEER = "[{phone}]\ntype = friend\nhost = dynamic\nsecret = {secret}\n"
_ENDPOINT = """\
[{phone}]
type = auth
username = {phone}
password = {secret}
[{phone}]
type = aor
max_contacts = 1
[{phone}]
type = endpoint
aors = {phone}
auth = {phone}
allow = ulaw
"""
_PHONES = {"sip.conf": _PEER, "pjsip.conf": _ENDPOINT}

# Runs in a mount namespace of its own; `exec` keeps the process id.
_ENTER = 'mount --bind "$1" "$2/dialer" && cd / && exec chroot "$2" /usr/sbin/asterisk -f -C /dialer/etc/asterisk.conf'


def phone_secret(extension: str) -> str:
    """Return the secret of a phone."""
    return f"secret-of-{extension}"


class AsteriskError(Exception):
    """An Asterisk cannot run; `str()` says what to do."""


class AsteriskTree:
    """The Debian 11 with Asterisk 16 in `folder`, which `tools/asterisk` builds."""

    def __init__(self, folder: Path) -> None:
        """Check that it can be used.

        Raises:
            AsteriskError: it does not exist, or this process may not chroot into it.
        """
        self.folder = folder.absolute()
        if os.geteuid() != 0:
            raise AsteriskError("only root may run Asterisk by chroot: run this as root (sudo make test)")
        if not (self.folder / "usr/sbin/asterisk").exists():
            raise AsteriskError(f"no Asterisk in {self.folder}: `make test` builds it")


class Asterisk:
    """One dialer's Asterisk, as a context manager.

    Args:
        tree: the program.
        folder: for its settings, logs and data; created, and left in place at the end.
        host: its address, one of 127/8.
        ami_port: TCP.
        sip_port: UDP.
        phones: extensions that may register; the secret of each is `phone_secret`.
        rooms: whether phones can be called, into conference rooms.
        pjsip: whether it speaks SIP by PJSIP, and has no chan_sip.
        permissions: of its AMI account.
        general: one more line for the general part of its manager.conf.

    Start it from a thread that lives as long as it is needed: it dies with that thread, so that a killed test run
    leaves none behind.
    """

    def __init__(  # noqa: PLR0913 # the parts of a dialer, each once
        self,
        tree: AsteriskTree,
        folder: Path,
        host: str,
        *,
        ami_port: int = AMI_PORT,
        sip_port: int = SIP_PORT,
        phones: Sequence[str] = (),
        rooms: bool = False,
        pjsip: bool = False,
        permissions: str = "",
        general: str = "",
    ) -> None:
        self.host = host
        self.ami_port = ami_port
        self.sip_port = sip_port
        self._phones = phones
        self._rooms = rooms
        self._pjsip = pjsip
        self._permissions = permissions
        self._general = general
        self._tree = tree
        self._folder = folder.absolute()
        self._process: _Process | None = None

    def start(self) -> None:
        """Start Asterisk, and return when it answers by AMI and SIP; nothing if it runs already.

        Raises:
            AsteriskError: it ended, or stayed silent for `START_SECONDS`.
        """
        if self._process is not None:
            return
        self._write_settings()
        enter = ["unshare", "--mount", "/bin/sh", "-c", _ENTER, "enter", str(self._folder), str(self._tree.folder)]
        command = ["setpriv", "--pdeathsig", "KILL", *enter]
        with self._output.open("ab") as output:
            process = _Process(self, command, output)
            try:
                process.start()
            except ExecutorError as error:
                process.kill()
                raise AsteriskError(
                    f"Asterisk did not start on {self.host}; its last words: {self._last_words()}"
                ) from error
        self._process = process

    def stop(self) -> None:
        """Shut Asterisk down in good order, even if it is frozen. Nothing if it is down."""
        process, self._process = self._process, None
        if process is not None:
            process.signal(signal.SIGCONT)
            process.end()

    def kill(self) -> None:
        """End Asterisk as a crash would (SIGKILL). Nothing if it is down."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def freeze(self) -> None:
        """Make Asterisk hang (SIGSTOP): its ports stay open without an answer. Return when all threads have stopped."""
        process = self._running()
        process.signal(signal.SIGSTOP)
        # threads stop one by one, and one that still runs may answer meanwhile
        while not process.halted:
            time.sleep(STEP_SECONDS)

    def thaw(self) -> None:
        """Let Asterisk go on (SIGCONT)."""
        self._running().signal(signal.SIGCONT)

    @property
    def process_id(self) -> int | None:
        """The process's id; None: it is down."""
        return self._process.id if self._process is not None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _output(self) -> Path:
        return self._folder / "output.log"

    def _running(self) -> "_Process":
        if self._process is None:
            raise AsteriskError(f"Asterisk is not running on {self.host}")
        return self._process

    def _write_settings(self) -> None:
        for name in ("etc", "lib", "log", "run", "spool"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        channels = _MODULES_FOR_PJSIP if self._pjsip else _MODULES_FOR_SIP
        modules = (*(_MODULES_FOR_ROOMS if self._rooms else ()), *channels)
        for name, text in _SETTINGS.items():
            filled = text.format(
                host=self.host,
                ami_port=self.ami_port,
                sip_port=self.sip_port,
                user=AMI_USER,
                sender=SENDER_USER,
                load="".join(f"load = {module}.so\n" for module in modules),
                secret=AMI_SECRET,
                permissions=self._permissions,
                general=self._general,
            )
            if name in _PHONES:
                filled += "".join(
                    _PHONES[name].format(phone=phone, secret=phone_secret(phone)) for phone in self._phones
                )
            (self._folder / "etc" / name).write_text(filled)

    def _last_words(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        return " | ".join(lines[-QUOTED_LINES:]) or "none"


class _Process(Executor):
    """Asterisk's process; ready when both its ports answer."""

    def __init__(self, dialer: Asterisk, command: list[str], output: IO[bytes]) -> None:
        if shutil.which("setpriv") is None or shutil.which("unshare") is None:
            raise AsteriskError("no setpriv or unshare on the PATH: install util-linux")
        super().__init__(
            command,
            timeout=START_SECONDS,
            sleep=0.02,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            expected_returncode=0,
        )
        self._dialer = dialer

    @property
    def id(self) -> int | None:
        """The process's id; None: it has ended."""
        return self.process.pid if self.process is not None and self.running() else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if the process is alive."""
        if self.id is not None:
            os.kill(self.id, number)

    def end(self) -> None:
        """Ask the process to end, each second anew since one that has just started may not hear it; then kill it."""
        for _ in range(STOP_SECONDS):
            self.signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self.process is None or self.process.wait(1) is not None:
                    break
        self.kill()

    @property
    def halted(self) -> bool:
        """No thread of the process runs: each is stopped, or the process is gone."""
        for stat in Path(f"/proc/{self.id}/task").glob("*/stat"):
            with contextlib.suppress(FileNotFoundError):  # a thread that ended meanwhile
                if stat.read_text().rpartition(") ")[2][0] not in "TZX":
                    return False
        return True

    def pre_start_check(self) -> bool:
        return self.after_start_check()

    def after_start_check(self) -> bool:
        try:
            return _greets(self._dialer) and _answers(self._dialer)
        except OSError:
            return False


def _greets(dialer: Asterisk) -> bool:
    with socket.create_connection((dialer.host, dialer.ami_port), timeout=ANSWER_SECONDS) as connection:
        return connection.recv(len(BANNER)) == BANNER


def _answers(dialer: Asterisk) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect((dialer.host, dialer.sip_port))
        target = SipTarget(host=dialer.host, port=dialer.sip_port)
        connection.send(options_request(target, *connection.getsockname(), unique=os.urandom(16).hex()).text)
        return connection.recv(LONGEST_ANSWER).startswith(b"SIP/2.0")


def free_host() -> str:
    """Return a loopback address with free AMI and SIP ports. Not seeded: two test runs must not get the same.

    Raises:
        AsteriskError: none was found.
    """
    (host,) = free_hosts(1)
    return host


def free_hosts(count: int) -> list[str]:
    """Return so many loopback addresses in a row, as the dialers of a plan have them, each with free ports.

    Raises:
        AsteriskError: none were found.
    """
    chance = random.SystemRandom()
    for _ in range(100):
        first = ipaddress.IPv4Address(
            f"127.{chance.randrange(10, 250)}.{chance.randrange(256)}.{chance.randrange(1, 255 - count)}"
        )
        hosts = [str(first + number) for number in range(count)]
        if all(map(_is_free, hosts)):
            return hosts
    raise AsteriskError("no loopback addresses with free ports among 100 tried")


def _is_free(host: str) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_server((host, AMI_PORT)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sip,
    ):
        sip.bind((host, SIP_PORT))
        return True
    return False
