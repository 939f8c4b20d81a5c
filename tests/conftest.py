"""The real servers tests run on: one MariaDB and one Kafka broker for the whole run, started when first asked for.

Where tests run in several processes, files are shared out between them, and the servers are lent to all: what a test
keeps in them has a name of its own, and whoever stops a server or changes it for all starts another one.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import settings

from hotdesk.cli import main as cli
from simulator.broker import Broker
from simulator.database import Database
from simulator.plan import ClusterPlan
from tests.support.commands import Command, Outcome
from tests.support.failover_run import FailoverRun, failover_run
from tests.support.processes import COMMAND, Process, Site, Start, clean_environment, site
from tests.support.servers import Borrowed, Lender, Servers

# A run can be repeated, and a busy machine is no error. With `--hypothesis-profile=thorough` it looks longer, and each
# time elsewhere.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=5000)
settings.load_profile("repeatable")

# What tests write is what hotdesk obeys, and it obeys nothing that others may write.
os.umask(0o022)

THREE_DIALERS = ClusterPlan(dialers=3, agents=12, remote_agents=1)

LONGEST = (
    *("tests/simulation/", "tests/benchmarks/", "tests/faults/", "tests/scenarios/", "tests/hotdesk/", "tests/stream/"),
    *("tests/alerts/", "tests/dashboards/", "tests/packaging/", "tests/page/", "tests/soak/", "tests/hook/"),
    *("tests/helm/", "tests/docs/", "tests/simulator/", "tests/security/", "tests/collectors/"),
)
"""What takes longest begins first, so that nothing long is left for one process at the end."""
assert all((Path(__file__).parents[1] / folder).is_dir() for folder in LONGEST), "a folder has another name now"
LAST_LINES = 20
LENDER = pytest.StashKey[Lender]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 # a type that pytest-xdist does not show
    """Pass on to a worker process where the servers are lent."""
    config: pytest.Config = node.config
    if LENDER not in config.stash:
        config.stash[LENDER] = Lender()
        config.add_cleanup(config.stash[LENDER].close)
    node.workerinput["servers"] = str(config.stash[LENDER].folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first. Each is run by one process, in its order."""

    def place(item: pytest.Item) -> int:
        return next((at for at, folder in enumerate(LONGEST) if item.nodeid.startswith(folder)), len(LONGEST))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the processes of a failed test said last."""
    report = yield
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.failed and folder is not None:
        for said in sorted(folder.glob("*.stderr")):
            report.sections.append((said.name, "\n".join(said.read_text(errors="replace").splitlines()[-LAST_LINES:])))
    return report


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """Yield a folder whose path is short enough for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="hotdesk-tests-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers | Borrowed]:
    """Yield the servers of the run: those that are lent, or where this is the only process, its own."""
    lent = getattr(request.config, "workerinput", {}).get("servers")
    if lent is not None:
        yield Borrowed(Path(lent))
        return
    with Servers() as started:
        yield started


@pytest.fixture(scope="session")
def database(servers: Servers | Borrowed) -> Database:
    """Return the MariaDB server of the run."""
    return servers.database


@pytest.fixture(scope="session")
def broker(servers: Servers | Borrowed) -> Broker:
    """Return the Kafka broker of the run."""
    return servers.broker


@pytest.fixture
def west(database: Database) -> Iterator[Site]:
    """Yield a cluster of three dialers and twelve desks, as it stands before anybody came in."""
    with site(database, THREE_DIALERS) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `hotdesk` processes: `start("serve", "--api.port", "0", environment={...})`; all end with the test."""
    with ExitStack() as stack:

        def start_it(
            *arguments: str, environment: dict[str, str] | None = None, program: tuple[str, ...] = (COMMAND,)
        ) -> Process:
            process = Process(tmp_path, arguments, environment or {}, program)
            stack.callback(process.close)
            return process

        yield start_it


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run the command within this process, in an empty folder: `command("check", HOTDESK_API_PORT="1")`."""
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    # a hotdesk that runs in this process too has a journal of its own, which is not what the command said
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())

    def run(*arguments: str, **environment: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["hotdesk", *arguments])
        with monkeypatch.context() as patch:
            patch.setattr("os.environ", clean_environment({"COLUMNS": "300"} | environment))
            with pytest.raises(SystemExit) as ended:
                cli.main()
        said = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), said.out, said.err)

    yield run
    # `run` and its like let this process speak to streams that are closed by now.
    logging.getLogger().handlers = handlers
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def failover(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FailoverRun]:
    """Yield a real run with a failover in it, as Prometheus saw it."""
    with failover_run(database, tmp_path_factory.mktemp("failover")) as run:
        yield run
