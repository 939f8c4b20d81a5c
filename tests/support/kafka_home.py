"""Where tests and benchmarks find Kafka."""

import os
from pathlib import Path

KAFKA_HOME = Path(os.environ.get("HOTDESK_KAFKA_HOME") or Path(__file__).parents[2] / ".parts" / "kafka")
"""Where `make` puts Kafka's jars."""
