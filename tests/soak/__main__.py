"""Run hotdesk under random real faults, at a rising rate.

    python -m tests.soak [MINUTES [SEED]]

Ends with the line `minutes M, faults F, moved A, broken B`; exit code 1: something broke.
"""

import random
import secrets
import signal
import sys
import time

from tests.soak.run import soaking
from tests.support.kafka_home import KAFKA_HOME

DEFAULT_MINUTES = 5.0


def say(line: str) -> None:
    """Print a line at once: it is watched."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    """Soak, and say how it went; 0 if nothing broke."""
    minutes = float(words[0]) if words else DEFAULT_MINUTES
    seed = int(words[1]) if len(words) > 1 else secrets.randbelow(1_000_000)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    say(f"seed {seed}, {minutes:g} minutes")
    with soaking(KAFKA_HOME) as soak:
        began = time.monotonic()
        try:
            soak.go_on(minutes * 60, random.Random(seed), say)  # noqa: S311 # it must repeat
        except KeyboardInterrupt:
            say("ended early")
            minutes = round((time.monotonic() - began) / 60, 1)
    for each in soak.broken:
        say(f"broken: {each}")
    say(f"minutes {minutes:g}, faults {soak.faults}, moved {soak.moved}, broken {len(soak.broken)}")
    return 1 if soak.broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
