"""`hotdesk check --web` and `--dialer`: this machine, seen as one of VICIdial's. The shell around hotdesk.setup."""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pymysql

from collectors.probes.ami import AmiTarget, probe_ami
from collectors.probes.sip import SipTarget, probe_sip
from hotdesk.cli.check import PROBE_SECONDS
from hotdesk.cli.finding import vicidial
from hotdesk.cli.grants import CONNECT_SECONDS
from hotdesk.errors import HotdeskError
from hotdesk.findings import Finding
from hotdesk.setup import dialer, web
from hotdesk.setup.facts import Vicidial
from hotdesk.setup.hook import FILES, INI, OPTIONS, PAGE, PLACES, SETTINGS, USERS, Web, ini_values, paths
from hotdesk.setup.machine import Tree, run, this_owner
from hotdesk.shipped import shipped
from hotdesk.tls import trust
from messages.shown import one_line

NOTES = "hook.json"
ASK_SECONDS = 5.0
PHP = "echo PHP_VERSION, ' ', implode(',', array_map('strtolower', get_loaded_extensions()));"
ASTERISK_ETC = Path("/etc/asterisk")


def found_web(folder: Path | None, settings: Path | None, user: str) -> Web:
    """Return this machine as a web server of VICIdial's.

    Raises:
        HotdeskError: the hook's own files are missing here.
    """
    files = {}
    for name in (*FILES, OPTIONS, INI):
        file = shipped(f"hook/{name}")
        try:
            files[name] = file.read_bytes()
        except OSError as error:
            raise HotdeskError(f"{file} cannot be read: {error.strerror}; install hotdesk anew") from error
    of = this_owner()
    return Web(
        folder=str((folder or _agent_pages()).expanduser().absolute()),
        shipped=files,
        user=user or (_web_user() if os.geteuid() == 0 else of.user),
        settings=SETTINGS if settings is None else str(settings.expanduser().absolute()),
        owner=of,
    )


def with_settings(found: Web, tree: Tree) -> Web:
    """Return the same with the addresses and the cluster that its settings name already, where none were given."""
    values = ini_values(tree.text(found.ini))
    return found._replace(urls=found.urls or values.get("urls", ""), cluster=found.cluster or values.get("cluster", ""))


def _agent_pages() -> Path:
    """Return where vicidial.php is, or should be."""
    roots = [each for each in (vicidial().web, *PLACES) if each]
    found = (Path(each) / "agc" for each in roots)
    return next((each for each in found if (each / PAGE).exists()), Path(roots[0]) / "agc")


def _web_user() -> str:
    return next((name for name in USERS if run(("getent", "passwd", name)).code == 0), "root")


def check_web(found: Web | None = None) -> Iterator[Finding]:
    """Yield what this web server of VICIdial's lacks for the login hook."""
    known = found or found_web(None, None, "")
    tree = Tree(f"{known.settings}/{NOTES}")
    known = with_settings(known, tree)
    values = ini_values(tree.text(known.ini))
    token_file = values.get("token_file", "")
    seen = tree.seen([*paths(known), *([token_file] if token_file else [])])
    token = web.token_of(seen, token_file)
    asked = tuple(_asked(url, known.cluster, token, values.get("ca_file", "")) for url in known.urls.split())
    yield from web.judged(known, seen, _php(), asked)


def _php() -> web.Php | None:
    ran = run(("php", "-r", PHP))
    version, _, extensions = ran.said.strip().rpartition("\n")[2].partition(" ")
    return web.Php(version, frozenset(extensions.split(","))) if ran.code == 0 else None


def _asked(url: str, cluster: str, token: str, ca_file: str) -> web.Asked:
    headers = {"authorization": f"Bearer {token}"} if token and token.isascii() and token.isprintable() else {}
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/v1/clusters/{cluster}/ranking",
            headers=headers,
            timeout=ASK_SECONDS,
            trust_env=False,
            verify=trust(ca_file, "ca_file"),
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return web.Asked(url, 0, one_line(error))
    return web.Asked(url, answer.status_code)


def prove_hook(at: str) -> Iterator[Finding]:
    """Yield what the web server answers by the hook: options.php by itself, and a screen that nobody has."""
    base = at.rstrip("/")
    for path, form, judge in (
        (OPTIONS, None, web.of_options),
        ("hotdesk.php", {"screen": "0" * 32}, web.of_screen),
    ):
        url = f"{base}/{path}"
        try:
            method = "GET" if form is None else "POST"
            answer = httpx.request(
                method, url, data=form, timeout=ASK_SECONDS, trust_env=False, verify=trust(""), follow_redirects=False
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            yield judge(0, one_line(error), url)
            continue
        yield judge(answer.status_code, answer.text[:4096], url)


def check_dialer() -> Iterator[Finding]:
    """Yield what this dialer lacks for hotdesk's probes."""
    of_vicidial = vicidial()
    sections = dialer.sections(_text(Path(dialer.MANAGER)), lambda name: _text(ASTERISK_ETC / name))
    account = sections.get(dialer.ACCOUNT)
    shown = run(("asterisk", "-rx", f"manager show user {dialer.ACCOUNT}"))
    port = sections.get("general", {}).get("port", ["5038"])[-1]
    secret = account.get("secret", [""])[-1] if account is not None else ""
    probed = None
    if of_vicidial.server_ip:
        probed = _probed(of_vicidial.server_ip, int(port) if port.isdecimal() else 5038, secret)
    yield from dialer.judged(
        dialer.Dialer(
            vicidial=of_vicidial,
            sections=sections,
            loaded=shown.said if shown.code == 0 else None,
            probed=probed,
            clock_ahead_seconds=_clock_ahead(of_vicidial),
        )
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _probed(host: str, port: int, secret: str) -> dialer.Probed:
    """Return what the dialer answers at its own address.

    Raises:
        HotdeskError: this machine has no socket left, or the address is none.
    """

    async def ask() -> dialer.Probed:
        sip = probe_sip(SipTarget(host=host), PROBE_SECONDS)
        if not secret:
            return dialer.Probed(None, await sip)
        target = AmiTarget(host=host, port=port, user=dialer.ACCOUNT, secret=secret)
        answer, by_sip = await asyncio.gather(probe_ami(target, PROBE_SECONDS), sip)
        return dialer.Probed(answer.result, by_sip, answer.refusal)

    try:
        return asyncio.run(ask())
    except (OSError, ValueError) as error:
        raise HotdeskError(f"this machine cannot ask {host}: {error}") from error


def _clock_ahead(of_vicidial: Vicidial) -> float | None:
    """Return how many seconds the database's clock is ahead of this machine's; None: it could not be asked."""
    if not of_vicidial.host:
        return None
    with (
        suppress(pymysql.MySQLError, OSError),
        pymysql.connect(
            host=of_vicidial.host,
            port=of_vicidial.port or 3306,
            user=of_vicidial.user,
            password=of_vicidial.password,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=CONNECT_SECONDS,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT UNIX_TIMESTAMP(NOW(6))")
        row = cursor.fetchone()
        return float(row[0]) - time.time() if row else None
    return None
