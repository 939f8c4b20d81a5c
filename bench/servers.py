"""The servers and processes benchmarks run beside each other."""

import os
from pathlib import Path

from simulator.broker import Broker


KAFKA_HOME = Path(os.environ.get("HOTDESK_KAFKA_HOME") or Path(__file__).parents[1] / ".parts" / "kafka")
"""Where `make` puts Kafka's jars."""


def private_broker(folder: Path) -> Broker:
    """Make a Kafka broker; it says what to do when the jars are missing."""
    return Broker(KAFKA_HOME, folder / "kafka")
