"""The cluster that the chart's processes look at."""

from collections.abc import Iterator

import pytest

from simulator.database import Database
from tests.hotdesk.conftest import THREE_DIALERS
from tests.support.processes import Site, site


@pytest.fixture
def west(database: Database) -> Iterator[Site]:
    """Give a cluster of three dialers and twelve desks, as it stands before anybody came in."""
    with site(database, THREE_DIALERS) as made:
        yield made
