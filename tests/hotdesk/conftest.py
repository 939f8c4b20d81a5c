"""What the end-to-end tests share: clusters in the one database server, and processes that are surely ended."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.ami_manager import Manager


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Yield a port that nobody listens on, and nobody else takes meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@pytest.fixture
def ami() -> Iterator[Manager]:
    """Yield a manager that answers as a living Asterisk's does."""
    with Manager() as one:
        yield one
