"""Times as VICIdial writes them: local, to the second, without a zone."""

import time


def vicidial_time(now: float) -> str:
    """Write seconds since 1970 as VICIdial's scripts do."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
