"""The one MariaDB and the one Kafka broker of a test run, whatever number of processes runs its tests.

The process that controls the run starts each when a test first asks for it, and ends it with the run. All tests use
them at the same time: a test that stops a server, or changes what holds for all of it, starts one of its own.
"""

import threading
from contextlib import ExitStack, suppress
from functools import cached_property
from multiprocessing.connection import Client, Listener
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NoReturn, Self

from simulator.broker import Broker, BrokerError
from simulator.database import Database, DatabaseError
from tests.support.kafka_home import KAFKA_HOME

NAMES = ("database", "broker")


class LentDatabase(Database):
    """The run's MariaDB, as tests have it: it is there, and none of them ends it."""

    def __init__(self, server: Database) -> None:
        self.host = server.host
        self.port = server.port
        self.socket = server.socket
        self.password = server.password

    @property
    def running(self) -> bool:
        """True: it outlives the tests."""
        return True

    def start(self) -> None:
        """Do nothing: it runs."""

    def stop(self) -> NoReturn:
        """Refuse."""
        raise AssertionError("other tests use this server: start one of your own")

    def kill(self) -> NoReturn:
        """Refuse."""
        self.stop()


class LentBroker(Broker):
    """The run's Kafka broker, as tests have it: it is there, and none of them ends it."""

    def __init__(self, server: Broker) -> None:
        self._bootstrap = server.bootstrap
        self._guarded_bootstrap = server.guarded_bootstrap

    @property
    def bootstrap(self) -> str:
        return self._bootstrap

    @property
    def guarded_bootstrap(self) -> str:
        return self._guarded_bootstrap

    def start(self) -> None:
        """Do nothing: it runs."""

    def stop(self) -> NoReturn:
        """Refuse."""
        raise AssertionError("other tests use this broker: start one of your own")

    def kill(self) -> NoReturn:
        """Refuse."""
        self.stop()


class Servers:
    """Servers that start when they are first asked for; a context manager, with which they end."""

    def __init__(self) -> None:
        self._ends = ExitStack()

    def __enter__(self) -> Self:
        # a socket's path must be short
        self.folder = Path(self._ends.enter_context(TemporaryDirectory(prefix="hotdesk-servers-")))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()

    @cached_property
    def database(self) -> LentDatabase:
        return LentDatabase(self._ends.enter_context(Database(self.folder / "mariadb")))

    @cached_property
    def broker(self) -> LentBroker:
        broker = Broker(KAFKA_HOME, self.folder / "kafka")
        broker.start()
        # what it has stored is not needed any more, and a good end takes the longer the more there is
        self._ends.callback(broker.kill)
        return LentBroker(broker)


class Lender:
    """Lends the servers of a run to its worker processes, from threads of the process that controls the run."""

    def __init__(self) -> None:
        self._servers = Servers().__enter__()
        self.folder = self._servers.folder
        """Where a worker process asks."""
        self._ended = False
        # each server starts in a thread of its own, with which the broker dies: so it goes on until the end
        self._threads = [
            threading.Thread(target=self._lend, args=(name, Listener(_socket(self.folder, name))), daemon=True)
            for name in NAMES
        ]
        for each in self._threads:
            each.start()

    def close(self) -> None:
        """End the servers."""
        self._ended = True
        for name, thread in zip(NAMES, self._threads, strict=True):
            Client(_socket(self.folder, name)).close()
            thread.join()
        self._servers.__exit__(None, None, None)

    def _lend(self, name: str, listener: Listener) -> None:
        with listener:
            while True:
                with listener.accept() as worker:
                    if self._ended:
                        return
                    with suppress(OSError):  # the worker process has ended meanwhile
                        worker.send(self._started(name))

    def _started(self, name: str) -> object:
        try:
            return getattr(self._servers, name)
        except (BrokerError, DatabaseError) as error:
            return error


class Borrowed:
    """The servers of the process that controls the run, as a worker process has them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def database(self) -> LentDatabase:
        return self._ask("database")  # type: ignore[no-any-return]

    @property
    def broker(self) -> LentBroker:
        return self._ask("broker")  # type: ignore[no-any-return]

    def _ask(self, name: str) -> Any:  # noqa: ANN401 # what came through a socket
        with Client(_socket(self._folder, name)) as lender:
            answer = lender.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer


def _socket(folder: Path, name: str) -> str:
    return str(folder / f"{name}.ask")
