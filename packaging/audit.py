"""Asks the package index about every release that a locked file pins: `python packaging/audit.py requirements.lock`.

No advisory service is asked, only the index that is installed from (UV_DEFAULT_INDEX, UV_INDEX_URL or
PIP_INDEX_URL). Of each release it looks whether

- the index still has it, and every pinned hash of it: one that is gone was withdrawn, or something put in its place;
- it was yanked, and why; whether its project was archived or put into quarantine (PEP 592, 691, 792);
- the index knows of vulnerabilities in it. PyPI tells them beside the files, at /pypi/NAME/VERSION/json; many mirrors
  do not, and then the last line says for how many releases nobody could tell.

The exit code is 1 where there is a finding, 2 where the index does not answer.
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


class Told(NamedTuple):
    """What the index tells of a release."""

    page: Mapping[str, Any] | None
    """Its project's page, as PEP 691 has it; None: there is no such project."""
    release: Mapping[str, Any] | None
    """The release, as PyPI's JSON API has it; None: this index does not tell."""


def pins(text: str) -> list[Pin]:
    """Read a locked file."""
    found: list[Pin] = []
    for line in text.splitlines():
        if named := NAME.match(line):
            found.append(Pin(named[1], named[2], frozenset()))
        if found and (hashes := HASH.findall(line)):
            found[-1] = found[-1]._replace(hashes=found[-1].hashes | set(hashes))
    return found


def findings(pin: Pin, told: Told) -> Iterator[str]:
    """Say what is wrong with a release."""
    if told.page is None:
        yield f"{pin}: the index has no such project any more"
        return
    files = {each["hashes"].get("sha256"): each for each in told.page["files"]}
    gone = pin.hashes - files.keys()
    if not pin.hashes:
        yield f"{pin}: it is pinned without a hash, so anything may be installed in its place"
    if gone:
        yield f"{pin}: {len(gone)} of its {len(pin.hashes)} pinned files are not in the index any more"
    yanked = {files[each]["yanked"] for each in pin.hashes & files.keys() if files[each].get("yanked")}
    for why in sorted(map(str, yanked)):
        yield f"{pin}: it was yanked" + ("" if why == "True" else f": {_line(why)}")
    status = told.page.get("project-status") or {}
    if status.get("status") in BAD_STATUS:
        yield f"{pin}: its project is {status['status']}: {_line(status.get('reason') or 'no reason is given')}"
    for each in (told.release or {}).get("vulnerabilities", ()):
        if not each.get("withdrawn"):
            fixed = ", ".join(each.get("fixed_in") or ()) or "no release yet"
            yield f"{pin}: {each['id']}, fixed in {fixed}: {_line(each.get('summary') or each.get('details') or '')}"


def ask(client: httpx.Client, index: str, pin: Pin) -> Told:
    """Ask the index about a release.

    Raises:
        httpx.HTTPError: it does not answer, or says that something is wrong with it or with the question.
    """
    name = re.sub(r"[-_.]+", "-", pin.name).lower()
    page = _json(client, f"{index}/{name}/", PAGE)
    release = _json(client, urljoin(f"{index}/", f"../pypi/{name}/{pin.version}/json"), "application/json")
    return Told(page, release)


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
    """Audit; give the exit code."""
    index = next(filter(None, map(environment.get, INDEX_VARIABLES)), "").rstrip("/")
    if not index:
        print("no package index is named: set UV_DEFAULT_INDEX to where its simple pages begin", file=sys.stderr)
        return 2
    locked = sorted({pin for file in files for pin in pins(Path(file).read_text())})
    try:
        with (
            httpx.Client(timeout=SECONDS, follow_redirects=True) as client,
            ThreadPoolExecutor(AT_ONCE) as several,
        ):
            told = dict(zip(locked, several.map(partial(ask, client, index), locked), strict=True))
    except httpx.HTTPError as error:
        # the index's address may hold a password
        print(f"the package index does not answer as it should: {type(error).__name__}", file=sys.stderr)
        return 2
    found = [line for pin in locked for line in findings(pin, told[pin])]
    for line in found:
        print(line)
    silent = sum(each.release is None for each in told.values())
    print(
        f"{len(locked)} releases, {len(found)} finding{'' if len(found) == 1 else 's'}"
        + (f"; of {silent} this index does not tell whether vulnerabilities are known" if silent else "")
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
