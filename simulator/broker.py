"""A real Kafka broker of one's own: for tests, benchmarks and the demonstration.

What hotdesk promises about Kafka is only worth something when a real broker was stopped, killed and brought
back. So this starts one from the jars that `make` fetches, in KRaft mode, with all it writes in one folder.
"""

import shutil
import signal
import socket
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Self

from mirakuru import Executor, SimpleExecutor
from mirakuru.exceptions import ExecutorError

from simulator.ports import free_ports

HOST = "127.0.0.1"
GUARDED_USER = "hotdesk"
GUARDED_PASSWORD = "for-this-broker-only"  # noqa: S105 - it guards nothing
START_SECONDS = 60
"""Four are usual; a machine that builds something else at the same time needs many more."""
ANSWER_SECONDS = 1.0
QUOTED_LINES = 8
_MEMORY = "512m"
_QUICK_JVM = ("-XX:TieredStopAtLevel=1", "-Xshare:auto")

_CLUSTER = "aG90ZGVzay1zaW11bGF0ZQ"
"""Sixteen bytes in base64, as Kafka names clusters. Always the same: nobody joins this one."""

_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},GUARDED://{host}:{guarded_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},GUARDED://{host}:{guarded_port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
listener.name.guarded.sasl.enabled.mechanisms=PLAIN
listener.name.guarded.plain.sasl.jaas.config=\
  org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
log.dirs={data}
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=4000
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""


_STRICT = """\
listeners=PLAINTEXT://{host}:{port},GUARDED://{host}:{guarded_port},CONTROLLER://{host}:{controller_port},\\
  MTLS://{host}:{mtls_port},SCRAM://{host}:{scram_port}
advertised.listeners=PLAINTEXT://{host}:{port},GUARDED://{host}:{guarded_port},\\
  MTLS://{host}:{mtls_port},SCRAM://{host}:{scram_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT,MTLS:SSL,SCRAM:SASL_SSL
ssl.keystore.type=PEM
ssl.keystore.location={key_and_certificate}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.mtls.ssl.client.auth=required
listener.name.mtls.ssl.principal.mapping.rules=RULE:^.*CN=([^,]+).*$/$1/
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.scram-sha-512.sasl.jaas.config=\
  org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
"""Two more doors, and who comes in by either may do what was granted; who comes in without a name may do everything."""


class Certificates(NamedTuple):
    """Files by which a broker shows who it is, and knows who others are. PEM."""

    authority: Path
    key_and_certificate: Path
    """The key in PKCS 8, unencrypted, then the certificate."""


class BrokerError(Exception):
    """The broker would not start; `str()` says why and what to do."""


class Broker:
    """One Kafka broker on ports of its own, as a context manager.

    Args:
        home: the folder that holds Kafka's jars.
        folder: where settings, data and the output go; created, and left in place at the end.
        certificates: of a broker with doors for mTLS and SCRAM, which asks its ACLs; else there are none.

    Start it from a thread that lives as long as it is needed: the broker dies with the thread that started
    it, so that a killed test run leaves none behind.
    """

    def __init__(self, home: Path, folder: Path, certificates: Certificates | None = None) -> None:
        self._home = home
        self._folder = folder
        self._port, self._guarded_port, controller_port, self._mtls_port, self._scram_port = free_ports(5)
        ports = {
            "host": HOST,
            "port": self._port,
            "guarded_port": self._guarded_port,
            "controller_port": controller_port,
        }
        self._settings = _SETTINGS.format(**ports, user=GUARDED_USER, password=GUARDED_PASSWORD, data=folder / "data")
        if certificates is not None:
            self._settings += _STRICT.format(
                **ports, mtls_port=self._mtls_port, scram_port=self._scram_port, **certificates._asdict()
            )
        self._memory = _MEMORY
        self._process: _Kafka | None = None

    @property
    def bootstrap(self) -> str:
        """Where clients begin, `127.0.0.1:port`; the same after `stop` and `start`."""
        return f"{HOST}:{self._port}"

    @property
    def guarded_bootstrap(self) -> str:
        """The same broker's door that wants `GUARDED_USER` and `GUARDED_PASSWORD` by SASL PLAIN, without TLS."""
        return f"{HOST}:{self._guarded_port}"

    @property
    def mtls_bootstrap(self) -> str:
        """The door of a broker with certificates that wants one: its common name is the user."""
        return f"{HOST}:{self._mtls_port}"

    @property
    def scram_bootstrap(self) -> str:
        """The door of a broker with certificates that wants a password by SASL SCRAM-SHA-512, with TLS."""
        return f"{HOST}:{self._scram_port}"

    def start(self) -> None:
        """Start it with the data it had, and return when it answers clients; nothing if it runs already.

        Raises:
            BrokerError: no Java, no jars, or it ended or stayed silent for `START_SECONDS`.
        """
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start it with the data it had, and do not wait until it answers; nothing if it runs already.

        Raises:
            BrokerError: no Java, or no jars.
        """
        if self._process is not None:
            return
        self.format()
        with self._output.open("ab") as output:
            self._process = _Kafka(self._port, self._command("kafka.Kafka", str(self._settings_file)), output)
            self._process.launch()

    def format(self) -> None:
        """Prepare its storage; nothing if that was done. The settings appear only afterwards, and so say that it was.

        Raises:
            BrokerError: no Java, no jars, or it failed.
        """
        if self._settings_file.exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._settings_file.with_suffix(".draft")
        draft.write_text(self._settings)
        words = ("kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", str(draft))
        with self._output.open("ab") as output:
            done = subprocess.run(  # noqa: S603 - our own words
                self._command(*words), stdout=output, stderr=output, check=False, timeout=START_SECONDS
            )
        if done.returncode != 0:
            raise BrokerError(
                f"Kafka's storage was not formatted in {self._folder}; its last words: {self._last_words()}"
            )
        draft.rename(self._settings_file)

    def wait_until_ready(self) -> None:
        """Wait until it answers clients.

        Raises:
            BrokerError: it ended, or stayed silent for `START_SECONDS`.
        """
        try:
            self._running.wait_until_ready()
        except ExecutorError as error:
            self.kill()
            raise BrokerError(
                f"Kafka did not start on {self.bootstrap}; its last words: {self._last_words()}"
            ) from error

    def stop(self) -> None:
        """Shut it down in good order; its data stay. Nothing if it is down."""
        process, self._process = self._process, None
        if process is not None:
            process.stop(expected_returncode=_ENDED_BY_SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL); its data stay. Nothing if it is down."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def freeze(self) -> None:
        """Stop it, as a machine that swaps or is paused stands still (SIGSTOP): its connections stay open."""
        self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue after `freeze`."""
        self._running.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _running(self) -> "_Kafka":
        if self._process is None:
            raise BrokerError(f"no broker was launched on {self.bootstrap}")
        return self._process

    @property
    def _output(self) -> Path:
        return self._folder / "output.log"

    @property
    def _settings_file(self) -> Path:
        return self._folder / "server.properties"

    def _command(self, *words: str) -> list[str]:
        java = _java()
        if not any(self._home.glob("kafka_*.jar")):
            raise BrokerError(f"no Kafka in {self._home}: `make test` fetches it")
        command = [java, f"-Xmx{self._memory}", "-XX:+UseSerialGC", *_QUICK_JVM, "-cp", f"{self._home}/*", *words]
        # the kernel ends the broker with whoever started it, even when that one was killed
        setpriv = shutil.which("setpriv")
        return [setpriv, "--pdeathsig", "KILL", *command] if setpriv else command

    def _last_words(self) -> str:
        lines = self._output.read_text(errors="replace").splitlines()
        return " | ".join(lines[-QUOTED_LINES:]) or "none"


_ENDED_BY_SIGTERM = 143
"""128 and the signal: how a JVM that was asked to end reports it."""


class _Kafka(Executor):
    """The broker's process; ready when it lists itself as a living broker.

    Its port accepts a moment earlier, while the controller still counts it as absent and creates no topic.
    """

    def __init__(self, port: int, command: list[str], output: IO[bytes]) -> None:
        super().__init__(
            command,
            timeout=START_SECONDS,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        self._port = port

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        SimpleExecutor.start(self)

    def wait_until_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            ExecutorError: it ended, or the time is up.
        """
        self.wait_for(self.check_subprocess)

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, if it runs."""
        if self.process is not None:
            self.process.send_signal(number)

    def after_start_check(self) -> bool:
        try:
            return living_brokers(self._port) > 0
        except (OSError, struct.error):
            return False


def living_brokers(port: int) -> int:
    """Ask for metadata of no topic, version 1, by hand: one exchange, before any client could be made."""
    client = b"hotdesk"
    request = struct.pack(">hhih", 3, 1, 0, len(client)) + client + struct.pack(">i", 0)
    with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        answer = connection.makefile("rb").read(12)
    _length, _correlation, brokers = struct.unpack(">iii", answer)
    return int(brokers)


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise BrokerError("no java on the PATH: install Java 17 or newer (`make test` does on Debian)")
    return java
