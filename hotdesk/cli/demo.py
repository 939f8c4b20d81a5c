"""`hotdesk demo`: run the demonstration, if what it needs is installed."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from hotdesk.errors import HotdeskError
from hotdesk.signals import asked_to_end


def demo(
    *,
    seconds: Annotated[float | None, Parameter(help="End after this many seconds.")] = None,
    kafka: Annotated[bool, Parameter(negative="", help="Use a real Kafka broker, started for it.")] = False,
    seed: Annotated[int, Parameter(help="Seed of the simulated cluster.")] = 1,
    dialers: Annotated[int, Parameter(help="Number of dialers.", validator=Number(gte=3, lte=100))] = 6,
    agents: Annotated[int, Parameter(help="Number of agents.", validator=Number(gte=10, lte=5000))] = 180,
) -> None:
    """Run a demonstration on a simulated cluster with a private database; it leaves nothing behind.

    Needs hotdesk[demo] and a MariaDB server's program.
    """
    try:
        from hotdesk.cli.demonstration import Size, run_demo  # noqa: PLC0415 # with what the extra `demo` alone brings
    except ModuleNotFoundError as error:
        raise HotdeskError(f"{error.name} is not installed: run pip install 'hotdesk[demo]'") from error
    with asked_to_end() as end:
        run_demo(end, Size(dialers, agents, seed), seconds=seconds, kafka=kafka)
