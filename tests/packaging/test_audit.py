"""`make audit` says what the package index says against a pinned release, and keeps quiet about the rest."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import clean_environment

ROOT = Path(__file__).parents[2]
GOOD, OTHER = "a" * 64, "b" * 64
LOCKED = f"""some-library==1.2 \\
    --hash=sha256:{GOOD}
second.library==3.0 ; python_version < '4' \\
    --hash=sha256:{OTHER}
"""


class Index:
    """A package index on loopback. `pages` by path; what is not there is answered with 404."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = index.pages.get(self.path)
                content = json.dumps(page).encode()
                self.send_response(500 if page == "broken" else 404 if page is None else 200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Log no request."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://user:tell-nobody@127.0.0.1:{self.server.server_address[1]}/root/simple/"

    def has(self, name: str, digest: str, *, yanked: bool | str = False) -> None:
        """Publish a project with one file."""
        self.pages[f"/root/simple/{name}/"] = {"files": [{"hashes": {"sha256": digest}, "yanked": yanked}]}


@pytest.fixture
def index() -> Iterator[Index]:
    """Yield an index that has both releases."""
    made = Index()
    made.has("some-library", GOOD)
    made.has("second-library", OTHER)
    thread = threading.Thread(target=made.server.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def audited(index: Index, folder: Path, locked: str = LOCKED) -> tuple[int, list[str]]:
    """Audit a locked file; give the exit code and the lines."""
    (folder / "locked.txt").write_text(locked)
    done = subprocess.run(  # noqa: S603 (our own script)
        [sys.executable, ROOT / "packaging" / "audit.py", folder / "locked.txt"],
        env=clean_environment({"UV_DEFAULT_INDEX": index.url, "NO_PROXY": "127.0.0.1"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "tell-nobody" not in done.stdout + done.stderr
    return done.returncode, (done.stdout + done.stderr).splitlines()


def test_nothing_is_wrong_with_what_is_there(index: Index, tmp_path: Path) -> None:
    code, lines = audited(index, tmp_path)
    assert code == 0
    assert lines == ["2 releases, 0 findings; of 2 releases this index has no data on vulnerabilities"]


def test_what_the_index_says_against_a_release_is_said(index: Index, tmp_path: Path) -> None:
    index.has("some-library", GOOD, yanked="broken on\nMondays")
    index.has("second-library", GOOD)
    index.pages["/root/simple/second-library/"]["project-status"] = {"status": "quarantined"}
    index.pages["/root/pypi/second-library/3.0/json"] = {
        "vulnerabilities": [
            {"id": "PYSEC-1", "fixed_in": ["3.1"], "summary": "reads too much", "withdrawn": None},
            {"id": "PYSEC-2", "fixed_in": ["3.1"], "withdrawn": "2026-01-01"},
        ]
    }
    code, lines = audited(index, tmp_path)
    assert code == 1
    assert lines == [
        "second.library 3.0: 1 of its 1 pinned files are not in the index any more",
        "second.library 3.0: its project is quarantined: no reason is given",
        "second.library 3.0: PYSEC-1, fixed in 3.1: reads too much",
        "some-library 1.2: it was yanked: broken on Mondays",
        "2 releases, 4 findings; of 1 releases this index has no data on vulnerabilities",
    ]


def test_what_is_gone_or_pinned_without_a_hash_is_a_finding(index: Index, tmp_path: Path) -> None:
    code, lines = audited(index, tmp_path, "some-library==1.2\nthird==1\n")
    assert code == 1
    assert "without a hash" in lines[0]
    assert lines[1] == "third 1: the index has no such project any more"


def test_an_index_that_does_not_answer_is_no_finding(index: Index, tmp_path: Path) -> None:
    index.pages["/root/simple/some-library/"] = "broken"
    assert audited(index, tmp_path) == (2, ["the package index does not answer properly: HTTPStatusError"])
