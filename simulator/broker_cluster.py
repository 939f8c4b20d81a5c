"""Three real Kafka brokers of one's own, as Kafka is bought: for what happens when one of them dies.

All that is not an address is Kafka's own default: above all the 9 s after which it gives up a broker that says nothing.
Each is broker and controller at once, so one in three is the active controller too.
"""

import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from simulator.broker import HOST, START_SECONDS, Broker, BrokerError, living_brokers
from simulator.ports import free_ports

COUNT = 3
LOOK_SECONDS = 0.1
_MEMORY = "256m"
_SETTINGS = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
"""


class BrokerOfThree(Broker):
    """One broker of a `BrokerCluster`; it may be killed, frozen and started again by itself."""

    def __init__(self, home: Path, folder: Path, number: int, port: int, controller_ports: list[int]) -> None:
        self._home = home
        self._folder = folder
        self._port = port
        self._settings = _SETTINGS.format(
            host=HOST,
            number=number,
            voters=",".join(f"{voter}@{HOST}:{at}" for voter, at in enumerate(controller_ports, start=1)),
            port=port,
            controller_port=controller_ports[number - 1],
            data=folder / "data",
        )
        self._memory = _MEMORY
        self._process = None

    @property
    def sees(self) -> int:
        """Return how many living brokers it knows of; 0 if it does not answer."""
        with suppress(OSError, struct.error):
            return living_brokers(self._port)
        return 0


class BrokerCluster:
    """Three brokers on ports of their own, as a context manager.

    Start it from a thread that lives as long as it is needed, as with `Broker`.
    """

    def __init__(self, home: Path, folder: Path) -> None:
        ports = free_ports(2 * COUNT)
        self.brokers = [
            BrokerOfThree(home, folder / f"broker{number}", number, ports[number - 1], ports[COUNT:])
            for number in range(1, COUNT + 1)
        ]

    @property
    def bootstrap(self) -> tuple[str, ...]:
        """Where clients begin."""
        return tuple(each.bootstrap for each in self.brokers)

    @property
    def whole(self) -> bool:
        """Return True if every broker knows of all three."""
        return all(each.sees == COUNT for each in self.brokers)

    def wait_until_whole(self) -> None:
        """Wait until every broker knows of all three.

        Raises:
            BrokerError: that takes longer than `START_SECONDS`.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self.whole:
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"the three brokers do not know of each other: {[each.sees for each in self.brokers]}"
                )
            time.sleep(LOOK_SECONDS)

    def __enter__(self) -> Self:
        with ThreadPoolExecutor(COUNT) as pool:
            list(pool.map(BrokerOfThree.format, self.brokers))
        for each in self.brokers:  # no one is ready before a majority runs
            each.launch()
        for each in self.brokers:
            each.wait_until_ready()
        self.wait_until_whole()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self.brokers:  # what they have stored is not needed any more
            each.kill()
