"""Times in VICIdial's form: local, to the second, without a zone."""

import time


def vicidial_time(now: float) -> str:
    """Return seconds since 1970 in the form of VICIdial's scripts."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
