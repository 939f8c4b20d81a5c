"""VICIdial's phones and aliases as data, and what steps make of them."""

from collections.abc import Iterable

import msgspec

from hotdesk.aliases.records import (
    AddAlias,
    AddPhone,
    Alias,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeleteAlias,
    DeletePhone,
    Dialer,
    Existing,
    Phone,
)
from messages.names import compared

LONGEST_LIST = 255


def dialers(count: int) -> tuple[Dialer, ...]:
    """Return so many dialers, 10.20.0.11 and what follows."""
    return tuple(Dialer(server_ip=f"10.20.0.{11 + number}", server_id=f"dial{number + 1}") for number in range(count))


def phone(login: str, server_ip: str, extension: str = "1001", **more: object) -> Phone:
    """Return a phone whose password and secret are known."""
    return msgspec.structs.replace(
        Phone(login=login, server_ip=server_ip, extension=extension, password="pw", secret="sc"), **more
    )


def after(existing: Existing, steps: Iterable[AnyStep]) -> Existing:
    """Return what VICIdial has once these steps were carried out, as its tables would have it."""
    phones = {(compared(each.extension), each.server_ip): each for each in existing.phones}
    aliases = {compared(each.alias_id): each for each in existing.aliases}
    for step in steps:
        match step:
            case AddPhone():
                key = compared(step.extension), step.server_ip
                assert key not in phones
                assert compared(step.login) not in {compared(each.login) for each in phones.values()}
                phones[key] = Phone(
                    login=step.login,
                    server_ip=step.server_ip,
                    extension=step.extension,
                    protocol=step.protocol,
                    webphone=step.webphone,
                    password=step.password,
                    secret=step.secret,
                )
            case ChangePhone():
                key = compared(step.extension), step.server_ip
                named = {"password": step.password, "secret": step.secret, "protocol": step.protocol}
                changes = {name: value for name, value in named.items() if value}
                phones[key] = msgspec.structs.replace(phones[key], **changes)
            case DeletePhone():
                del phones[compared(step.extension), step.server_ip]
            case AddAlias():
                assert compared(step.alias_id) not in aliases
                aliases[compared(step.alias_id)] = _listed(
                    phones.values(), Alias(alias_id=step.alias_id, name=step.name, logins=step.logins)
                )
            case ChangeAlias():
                before = aliases[compared(step.alias_id)]
                aliases[compared(step.alias_id)] = _listed(
                    phones.values(),
                    Alias(alias_id=before.alias_id, name=step.name or before.name, logins=step.logins or before.logins),
                )
            case DeleteAlias():
                del aliases[compared(step.alias_id)]
    return Existing(dialers=existing.dialers, phones=tuple(phones.values()), aliases=tuple(aliases.values()))


def _listed(phones: Iterable[Phone], alias: Alias) -> Alias:
    """Check what VICIdial checks of an alias, and that nothing of its list would be cut off."""
    known = {compared(each.login) for each in phones}
    assert all(compared(login) in known for login in alias.logins), alias
    assert len(",".join(alias.logins)) <= LONGEST_LIST
    return alias
