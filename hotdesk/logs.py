"""Logging of this process: lines for people on a terminal, JSON elsewhere; always on standard error."""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

from messages.shown import printable

STANDARD_ERROR = 2


class _StandardError:
    """Standard error. A closed terminal must not stop a process from working, or from ending."""

    def write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def _visible(_: object, __: str, event: EventDict) -> EventDict:
    """Show every character of a line for a terminal; only a traceback has several lines."""
    for name, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if name == "exception" else [value]
            event[name] = "\n".join(map(printable, lines))
    return event


PRIORITIES = {"critical": 2, "exception": 3, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""Of syslog, by a line's level."""


def is_journal(environment: Mapping[str, str], stream: int) -> bool:
    """Return True if a stream of this process goes to systemd's journal, as JOURNAL_STREAM says."""
    with suppress(OSError):
        found = os.fstat(stream)
        return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return False


def _with_priority(_: object, level: str, line: str) -> str:
    """Return a line as the journal reads its priority: it then filters by it."""
    return f"<{PRIORITIES.get(level, 6)}>{line}"


def configure(*, quiet: bool = False) -> None:
    """Set up logging, once a process. `quiet`: errors only, for programs that show by themselves what happens."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=not sys.stderr.isatty()),
        structlog.processors.format_exc_info,
    ]
    renderers: list[Processor] = (
        [_visible, structlog.dev.ConsoleRenderer()]
        if sys.stderr.isatty()
        # which has no character but those of ASCII
        else [cast("Processor", structlog.processors.JSONRenderer())]
    )
    if is_journal(os.environ, STANDARD_ERROR):
        renderers.append(cast("Processor", _with_priority))
    structlog.configure(
        processors=[*shared, *renderers],
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR if quiet else logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _StandardError())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    # kafka-python logs every retry; the caller logs the outcome once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
