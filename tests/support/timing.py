"""Time limits in tests, on a machine that does other work beside them."""

import os


def on_this_machine(limit: float) -> float:
    """Return the limit for what may take that long, in whatever unit, on an idle machine.

    Where more processes want a core than there are cores, everything takes longer by that ratio, the parts of other
    people's that a test waits for too.
    """
    return limit * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
