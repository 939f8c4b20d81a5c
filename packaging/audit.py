"""Checks every release that a locked file pins in the package index: `python packaging/audit.py requirements.lock`.

It queries no advisory service, only the index that packages are installed from (UV_DEFAULT_INDEX, UV_INDEX_URL or
PIP_INDEX_URL). For each release it checks whether

- the index still has it, and every pinned hash of it: a missing one was withdrawn or replaced;
- it was yanked, and why; whether its project was archived or put into quarantine (PEP 592, 691, 792);
- the index knows vulnerabilities of it. PyPI serves them at /pypi/NAME/VERSION/json; many mirrors do not, and then the
  last line says for how many releases they are unknown.

The exit code is 1 if there is a finding, 2 if the index does not answer.
"""

# ruff: noqa: INP001, T201 - a script, beside release.py, that prints

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urljoin

import httpx

INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
PAGE = "application/vnd.pypi.simple.v1+json"
AT_ONCE = 4
SECONDS = 30.0
BAD_STATUS = {"archived", "quarantined", "deprecated"}
NAME = re.compile(r"^([A-Za-z0-9._-]+)==([A-Za-z0-9.!+_-]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


class Pin(NamedTuple):
    """A release that a locked file names."""

    name: str
    version: str
    hashes: frozenset[str]
    """SHA-256, in hex, of the files that may be installed."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Answer(NamedTuple):
    """The index's answers about a release."""

    page: Mapping[str, Any] | None
    """Its project's page, in the form of PEP 691; None: there is no such project."""
    release: Mapping[str, Any] | None
    """The release, in the form of PyPI's JSON API; None: this index has no such API."""


def pins(text: str) -> list[Pin]:
    """Return the releases that the text of a locked file pins."""
    found: list[Pin] = []
    for line in text.splitlines():
        if named := NAME.match(line):
            found.append(Pin(named[1], named[2], frozenset()))
        if found and (hashes := HASH.findall(line)):
            found[-1] = found[-1]._replace(hashes=found[-1].hashes | set(hashes))
    return found


def findings(pin: Pin, answer: Answer) -> Iterator[str]:
    """Yield a line for each finding about a release."""
    if answer.page is None:
        yield f"{pin}: the index has no such project any more"
        return
    files = {each["hashes"].get("sha256"): each for each in answer.page["files"]}
    gone = pin.hashes - files.keys()
    if not pin.hashes:
        yield f"{pin}: it is pinned without a hash, so anything may be installed in its place"
    if gone:
        yield f"{pin}: {len(gone)} of its {len(pin.hashes)} pinned files are not in the index any more"
    yanked = {files[each]["yanked"] for each in pin.hashes & files.keys() if files[each].get("yanked")}
    for why in sorted(map(str, yanked)):
        yield f"{pin}: it was yanked" + ("" if why == "True" else f": {_line(why)}")
    status = answer.page.get("project-status") or {}
    if status.get("status") in BAD_STATUS:
        yield f"{pin}: its project is {status['status']}: {_line(status.get('reason') or 'no reason is given')}"
    for each in (answer.release or {}).get("vulnerabilities", ()):
        if not each.get("withdrawn"):
            fixed = ", ".join(each.get("fixed_in") or ()) or "no release yet"
            yield f"{pin}: {each['id']}, fixed in {fixed}: {_line(each.get('summary') or each.get('details') or '')}"


def ask(client: httpx.Client, index: str, pin: Pin) -> Answer:
    """Return the index's answers about a release.

    Raises:
        httpx.HTTPError: the index does not answer, or reports an error.
    """
    name = re.sub(r"[-_.]+", "-", pin.name).lower()
    page = _json(client, f"{index}/{name}/", PAGE)
    release = _json(client, urljoin(f"{index}/", f"../pypi/{name}/{pin.version}/json"), "application/json")
    return Answer(page, release)


def _json(client: httpx.Client, url: str, kind: str) -> Mapping[str, Any] | None:
    answer = client.get(url, headers={"accept": kind})
    if answer.status_code == httpx.codes.NOT_FOUND:
        return None
    answer.raise_for_status()
    found = answer.json() if "json" in answer.headers.get("content-type", "") else None
    return found if isinstance(found, dict) else None


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def main(files: Sequence[str], environment: Mapping[str, str]) -> int:
    """Check all pinned releases, print the findings and return the exit code."""
    index = next(filter(None, map(environment.get, INDEX_VARIABLES)), "").rstrip("/")
    if not index:
        print("no package index is named: set UV_DEFAULT_INDEX to the address of its simple pages", file=sys.stderr)
        return 2
    locked = sorted({pin for file in files for pin in pins(Path(file).read_text())})
    try:
        with (
            httpx.Client(timeout=SECONDS, follow_redirects=True) as client,
            ThreadPoolExecutor(AT_ONCE) as several,
        ):
            answers = dict(zip(locked, several.map(partial(ask, client, index), locked), strict=True))
    except httpx.HTTPError as error:
        # Without the error's text: the index's address may contain a password.
        print(f"the package index does not answer properly: {type(error).__name__}", file=sys.stderr)
        return 2
    found = [line for pin in locked for line in findings(pin, answers[pin])]
    for line in found:
        print(line)
    silent = sum(each.release is None for each in answers.values())
    print(
        f"{len(locked)} releases, {len(found)} finding{'' if len(found) == 1 else 's'}"
        + (f"; of {silent} releases this index has no data on vulnerabilities" if silent else "")
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
