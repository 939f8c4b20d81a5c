"""Which desks a plan is about, if no file names them. Pure."""

from controller.core.ranking import REGISTERING
from hotdesk.aliases.desk_file import ALIAS_BEGINS
from hotdesk.aliases.records import Desk, Dialer, Existing, Phone
from messages.names import compared
from messages.records import ServerIp


def desks_of_aliases(existing: Existing) -> list[Desk]:
    """Return a desk for each alias that lists a phone, by alias; the extension is that of its first phone."""
    by_login = {compared(phone.login): phone for phone in reversed(existing.phones)}
    desks = []
    for alias in sorted(existing.aliases, key=lambda each: compared(each.alias_id)):
        phones = [by_login[compared(login)] for login in alias.logins if compared(login) in by_login]
        if phones:
            desks.append(Desk(extension=phones[0].extension, alias_id=alias.alias_id))
    return desks


def desks_of_dialer(existing: Existing, server_ip: ServerIp) -> list[Desk]:
    """Return a desk for each active phone of a dialer that registers, by extension: of its alias, or of a new one."""
    aliases = {compared(login): alias for alias in existing.aliases for login in alias.logins}
    desks = []
    for phone in sorted(_phones_on(existing, server_ip), key=lambda each: compared(each.extension)):
        alias = aliases.get(compared(phone.login))
        alias_id = f"{ALIAS_BEGINS}{phone.extension}" if alias is None else alias.alias_id
        desks.append(Desk(extension=phone.extension, alias_id=alias_id))
    return desks


def _phones_on(existing: Existing, server_ip: ServerIp) -> list[Phone]:
    return [
        phone
        for phone in existing.phones
        if phone.server_ip == server_ip and phone.active and phone.protocol.upper() in REGISTERING
    ]


def dialer_named(existing: Existing, name: str) -> Dialer | None:
    """Return the dialer with this address or name; None: there is none."""
    wanted = compared(name)
    by_address = [each for each in existing.dialers if each.server_ip == wanted]
    by_name = [each for each in existing.dialers if compared(each.server_id) == wanted]
    return next(iter(by_address + by_name), None)
