"""What tests and benchmarks may import of each other: what they share is in `tests/support/`, and nowhere else.

What is shipped imports neither; a test module and a conftest are imported by nobody; a helper beside tests belongs to
its folder.
"""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
SHARED = "tests.support"
OURS = ("tests", "bench")
ONE_WORLD = ("tests.scenarios", "tests.simulation")
"""Scenarios are played in the simulation's world, and show the bugs that are planted there."""


def imported(file: PurePosixPath, text: str) -> Iterator[str]:
    """Return the modules that a file imports; of `from A import B` both `A` and `A.B`, since B may be a module."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(file.parts[: -node.level]) if node.level else ""
            module = ".".join(filter(None, (package, node.module)))
            yield module
            yield from (f"{module}.{each.name}" for each in node.names)


def within(module: str, package: str) -> bool:
    """Return True if a module is a package, or lies in it."""
    return f"{module}.".startswith(f"{package}.")


def may_import(file: PurePosixPath, module: str) -> bool:
    """Return True if a file may import a module, as far as tests and benchmarks are concerned."""
    if not any(within(module, each) for each in OURS):
        return True
    if module.rpartition(".")[2] == "conftest" or any(part.startswith("test_") for part in module.split(".")):
        return False
    home, folder = file.parts[0], ".".join(file.parts[:2])
    # of `from tests import …` it is the names that count
    beside = ONE_WORLD if folder in ONE_WORLD else (folder,)
    of = {"tests": (SHARED, *beside), "bench": (SHARED, "bench")}.get(home, ())
    return any(within(module, each) for each in of) or (home in OURS and module == "tests")


def refused(file: str, text: str) -> list[str]:
    """Return a line for each import of a file that is not allowed."""
    path = PurePosixPath(file)
    return [f"{file}: {module}" for module in imported(path, text) if not may_import(path, module)]


def test_nobody_imports_what_is_not_shared() -> None:
    files = [
        file.relative_to(ROOT).as_posix()
        for file in ROOT.rglob("*.py")
        if not any(part.startswith(".") for part in file.relative_to(ROOT).parts)
    ]
    assert {"tests/walls/test_imports_of_tests.py", "bench/paging.py", "hotdesk/service.py"} <= set(files)
    assert [line for file in files for line in refused(file, (ROOT / file).read_text())] == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("bench/picks.py", "from tests.hotdesk.test_failover import picking"),
        ("bench/picks.py", "from tests.soak import plan"),
        ("bench/picks.py", "from tests.soak.plan import draw"),
        ("bench/picks.py", "import tests.conftest"),
        ("bench/picks.py", "from tests import simulation"),
        ("tests/hook/test_hook.py", "from bench.servers import kafka"),
        ("tests/hook/test_hook.py", "def late():\n    import bench"),
        ("tests/hook/test_hook.py", "from tests.hook.conftest import Office"),
        ("tests/hook/test_hook.py", "from tests.hook import conftest"),
        ("tests/hook/test_hook.py", "from . import test_relogin"),
        ("tests/hook/test_hook.py", "from tests.hook.test_relogin import moved"),
        ("tests/hook/test_hook.py", "from tests.soak.plan import draw"),
        ("tests/hook/test_hook.py", "from ..soak.plan import draw"),
        ("tests/support/web.py", "from tests.hook.office import PLAN"),
        ("tests/support/web.py", "import bench.servers"),
        ("hotdesk/service.py", "from tests.support.builders import ONE"),
        ("simulator/plan.py", "import bench.results"),
    ],
)
def test_an_import_that_is_not_allowed_is_refused(file: str, text: str) -> None:
    assert refused(file, text)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("bench/picks.py", "from bench.servers import kafka"),
        ("bench/picks.py", "from tests.support.processes import until"),
        ("bench/picks.py", "from tests.support import ami_manager"),
        ("tests/hook/test_hook.py", "from tests.hook.office import PLAN"),
        ("tests/hook/test_hook.py", "from tests.support import ami_manager"),
        ("tests/simulation/mutants/planted.py", "from tests.simulation.run import simulate"),
        ("tests/conftest.py", "from tests.support.processes import site"),
        ("tests/support/web.py", "from tests.support.processes import Site"),
        ("hotdesk/service.py", "import testsuite, benchmark"),
    ],
)
def test_what_is_shared_or_of_the_same_folder_is_allowed(file: str, text: str) -> None:
    assert refused(file, text) == []
