"""Run hotdesk's processes on the virtual clock: what a seed and a scenario share."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

import structlog

from controller.core.policy import Policy
from tests.simulation.collecting import Collector, Database
from tests.simulation.controlling import BUDGET, Controller, Group
from tests.simulation.hands import Hands
from tests.simulation.processes import Sees
from tests.simulation.wire import Wire
from tests.simulation.world import Clock, World

LOOK_SECONDS, LOOK_IN_A_LULL = 0.25, 2.0

T = TypeVar("T")


def run_silently(play: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end, and return its result; hotdesk logs nothing meanwhile."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return asyncio.run(play())
    finally:
        structlog.configure(wrapper_class=before)


def two_of_each(  # noqa: PLR0913 # what they connect, each once
    world: World,
    wire: Wire,
    group: Group,
    database: Database,
    draw: Random,
    *,
    policy: Policy,
    hands: Hands,
    seen: Sees,
    probes: bool,
    budget: int = BUDGET,
) -> tuple[list[Collector], list[Controller]]:
    """Return two collectors and two controllers."""
    collectors = [
        Collector(name, world=world, wire=wire, database=database, draw=draw, seen=seen, probes=probes)
        for name in ("collector-1", "collector-2")
    ]
    controllers = [
        Controller(
            name,
            world=world,
            wire=wire,
            group=group,
            policy=policy,
            hands=hands,
            draw=draw,
            seen=seen,
            budget=budget,
        )
        for name in ("controller-1", "controller-2")
    ]

    def wake() -> None:
        for each in controllers:
            each.wake()

    wire.wake = wake
    return collectors, controllers


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
        for each in controllers:
            if each.commits_in_progress:
                # what was committed meanwhile is taken in, and may begin the next commit
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                break
        if clock.now >= look_due:
            look_due = clock.now + (LOOK_IN_A_LULL if clock.lull else LOOK_SECONDS)
            look()


async def end_tasks() -> None:
    """End all tasks but this one."""
    while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
