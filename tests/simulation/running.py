"""Run hotdesk's processes on the virtual clock: what a seed and a scenario share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

import structlog

from tests.simulation.collecting import Collector, Database
from tests.simulation.controlling import BUDGET, Controller, Group
from tests.simulation.setup import ClusterSetup
from tests.simulation.world import Clock

LOOK_SECONDS = 0.25

T = TypeVar("T")


def run_silently(play: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, and return its result; hotdesk logs nothing meanwhile."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return asyncio.run(play())
    finally:
        structlog.configure(wrapper_class=before)


def two_collectors(
    setup: ClusterSetup, database: Database, draw: Random, *, probes: bool, prefix: str = ""
) -> list[Collector]:
    """Return two collectors of a cluster."""
    return [
        Collector(
            f"{prefix}collector-{number}",
            cluster=setup.name,
            world=setup.world,
            wire=setup.wire,
            database=database,
            draw=draw,
            seen=setup.seen,
            probes=probes,
        )
        for number in (1, 2)
    ]


def two_controllers(
    setups: Sequence[ClusterSetup], group: Group, draw: Random, *, budget: int = BUDGET
) -> list[Controller]:
    """Return two controllers, each for all clusters."""
    controllers = [
        Controller(name, setups, group=group, draw=draw, budget=budget) for name in ("controller-1", "controller-2")
    ]

    def wake() -> None:
        for each in controllers:
            each.wake()

    for each in setups:
        each.wire.wake = wake
    return controllers


async def pass_until(end: float, clock: Clock, controllers: Sequence[Controller], look: Callable[[], None]) -> None:
    """Let events happen until that moment of the virtual clock, and look from time to time."""
    ended = False

    def stop() -> None:
        nonlocal ended
        ended = True

    clock.at(end, stop)
    look_due = clock.now
    while not ended:
        clock.step()
        if clock.commits_in_progress:
            clock.commits_in_progress = any(each.commits_in_progress for each in controllers)
            # what was committed meanwhile is taken in, and may begin the next commit
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if clock.now >= look_due:
            look_due = clock.now + (clock.calm.looks if clock.calm else LOOK_SECONDS)
            look()


async def end_tasks() -> None:
    """End all tasks but this one."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
