"""The broker of the tests itself: what it says when it cannot start, and that it leaves nothing behind."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.broker import Broker, BrokerError
from tests.support.kafka_home import KAFKA_HOME

DEADLINE_SECONDS = 20
RUN = """
import sys
from pathlib import Path
from simulator.broker import Broker

with Broker(Path(sys.argv[1]), Path(sys.argv[2])) as broker:
    print(broker.bootstrap, flush=True)
    sys.stdin.read()
"""


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_without_jars_it_says_what_fetches_them(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=rf"no Kafka in {tmp_path}: `make test` fetches it"):
        Broker(tmp_path, tmp_path / "broker").start()


def test_without_java_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="no java on the PATH: install Java 17"):
        Broker(KAFKA_HOME, tmp_path).start()


def test_what_kafka_said_last_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "server.properties").write_text("process.roles=nonsense\n")
    broker = Broker(KAFKA_HOME, tmp_path)
    with pytest.raises(BrokerError, match=r"did not start .* last words: .+"):
        broker.start()
    broker.stop()


def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(KAFKA_HOME), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:  # noqa: S603 - our own words
        assert run.stdout is not None
        port = int(run.stdout.readline().decode().rpartition(":")[2])
        assert answers(port)
        run.kill()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while answers(port):
        assert time.monotonic() < deadline, "the broker outlived its process"
