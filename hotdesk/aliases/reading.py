"""The dialers, phones and aliases of a cluster, read from its database by the collectors' own statements."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from collectors.vicidial import rows
from collectors.vicidial.database import DatabaseError, VicidialDatabase
from collectors.vicidial.rows import OddRows, Row
from collectors.vicidial.settings import DatabaseSettings
from hotdesk.aliases.records import Alias, Dialer, Existing, Phone
from hotdesk.errors import DatabaseFailure
from messages.names import compared


class _Secrets(NamedTuple):
    password: str | None = None
    secret: str | None = None


_UNREAD = _Secrets()


def existing_in(settings: DatabaseSettings) -> Existing:
    """Return what a cluster has; passwords and secrets only if the account may read them.

    Raises:
        DatabaseFailure: the database does not answer, or refuses.
    """
    try:
        with VicidialDatabase(settings) as database:
            secrets = _secrets(database.run("secrets")) if database.reads("secrets") else {}
            return Existing(
                dialers=_dialers(database.run("dialers"), _agents(database.run("agents"))),
                phones=_phones(database.run("phones"), secrets),
                aliases=_aliases(database.run("aliases")),
            )
    except DatabaseError as error:
        raise DatabaseFailure(str(error)) from error


def _agents(found: Iterable[Row]) -> Counter[str]:
    """Return the agents who may sit at a phone, by dialer."""
    odd = OddRows()
    known = (rows.agent(row, odd) for row in found)
    return Counter(each.server_ip for each in known if each is not None and not each.remote)


def _dialers(found: Iterable[Row], agents: Mapping[str, int]) -> tuple[Dialer, ...]:
    known = rows.dialers(found, OddRows())
    return tuple(
        Dialer(
            server_ip=each.server_ip,
            server_id=each.server_id,
            takes_agents=each.asterisk and each.agent_logins,
            agents=agents.get(each.server_ip, 0),
        )
        for _, each in sorted(known.items())
    )


def _secrets(found: Iterable[Row]) -> Mapping[str, _Secrets]:
    """Return passwords and secrets by login; a login of two phones has two lines, and such a desk is refused anyway."""
    odd = OddRows()
    return {
        compared(rows.key(login, odd)): _Secrets(rows.text(password, odd), rows.text(secret, odd))
        for login, password, secret in found
    }


def _phones(found: Iterable[Row], secrets: Mapping[str, _Secrets]) -> tuple[Phone, ...]:
    odd = OddRows()
    phones = []
    for login, server_ip, extension, active, protocol, webphone, peer_status in found:
        name = rows.key(login, odd)
        known = secrets.get(compared(name), _UNREAD)
        phones.append(
            Phone(
                login=name,
                server_ip=rows.key(server_ip, odd),
                extension=rows.key(extension, odd),
                active=active == b"Y",
                protocol=rows.text(protocol, odd),
                webphone=(webphone or b"N") != b"N",
                peer_status=rows.text(peer_status, odd),
                password=known.password,
                secret=known.secret,
            )
        )
    return tuple(phones)


def _aliases(found: Iterable[Row]) -> tuple[Alias, ...]:
    read = rows.aliases(found, {}, OddRows())
    return tuple(Alias(alias_id=each.alias_id, name=each.name, logins=each.logins) for each in read.values())
