"""Steps as VICIdial's API is asked for them, as people read them, and how each is taken back. Pure.

Parameters and limits are those of its functions `add_phone`, `update_phone`, `add_phone_alias` and
`update_phone_alias`.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hotdesk.aliases.records import (
    KEPT,
    KEPT_ALIAS_NAME,
    KEPT_SECRET,
    MADE_BY_API,
    AddAlias,
    AddPhone,
    Alias,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeleteAlias,
    DeletePhone,
    DeskPlan,
    Existing,
    Phone,
    Plan,
)
from messages.names import compared

SECRET_FIELDS = frozenset({"phone_pass", "registration_password"})
"""Parameters that are never shown."""
NOT_IN_A_NAME = re.compile(r"[^- ._0-9A-Za-z]")
"""Signs that VICIdial takes out of a phone's name."""
NOT_IN_A_NUMBER = re.compile(r"[^0-9A-Za-z]")
LONGEST_VOICEMAIL = 10


class Request(NamedTuple):
    """A request to VICIdial's API."""

    function: str
    fields: Mapping[str, str]


class Credentials(NamedTuple):
    """The password and the registration secret of a desk."""

    password: str
    secret: str

    def __repr__(self) -> str:
        return "Credentials()"


def request_of(step: AnyStep) -> Request:
    """Return the request that carries a step out."""
    return _REQUESTS[type(step)](step)


def _add_phone(step: AddPhone) -> Request:
    fields = {
        "extension": step.extension,
        "dialplan_number": NOT_IN_A_NUMBER.sub("", step.dialplan_number),
        "voicemail_id": NOT_IN_A_NUMBER.sub("", step.voicemail_id)[:LONGEST_VOICEMAIL],
        "phone_login": step.login,
        "phone_pass": step.password or "",
        "server_ip": step.server_ip,
        "protocol": step.protocol,
        "registration_password": step.secret or "",
        "phone_full_name": NOT_IN_A_NAME.sub("", step.name).strip() or step.extension,
        "local_gmt": step.local_gmt,
        "outbound_cid": step.outbound_cid,
        "phone_context": step.phone_context,
    }
    return Request("add_phone", fields | ({"is_webphone": "Y"} if step.webphone else {}))


def _change_phone(step: ChangePhone) -> Request:
    changed = {"phone_pass": step.password, "registration_password": step.secret, "protocol": step.protocol}
    fields = {"extension": step.extension, "server_ip": step.server_ip}
    return Request("update_phone", fields | {name: value for name, value in changed.items() if value})


def _delete_phone(step: DeletePhone) -> Request:
    return Request("update_phone", {"extension": step.extension, "server_ip": step.server_ip, "delete_phone": "Y"})


def _add_alias(step: AddAlias) -> Request:
    fields = {"alias_id": step.alias_id, "alias_name": step.name, "phone_logins": ",".join(step.logins)}
    return Request("add_phone_alias", fields)


def _change_alias(step: ChangeAlias) -> Request:
    changed = {"alias_name": step.name, "phone_logins": ",".join(step.logins)}
    return Request(
        "update_phone_alias", {"alias_id": step.alias_id} | {name: value for name, value in changed.items() if value}
    )


def _delete_alias(step: DeleteAlias) -> Request:
    return Request("update_phone_alias", {"alias_id": step.alias_id, "delete_alias": "Y"})


_REQUESTS: Mapping[type[AnyStep], Callable[[Any], Request]] = {
    AddPhone: _add_phone,
    ChangePhone: _change_phone,
    DeletePhone: _delete_phone,
    AddAlias: _add_alias,
    ChangeAlias: _change_alias,
    DeleteAlias: _delete_alias,
}


def line_of(step: AnyStep, existing: Existing) -> str:
    """Return a step as one line of a diff, without a secret."""
    match step:
        case AddPhone():
            return f"+ phone {step.login}: {step.protocol}/{step.extension} on {step.server_ip}"
        case ChangePhone():
            return f"~ phone {step.login} on {step.server_ip}: {', '.join(_changes(step))}"
        case DeletePhone():
            return f"- phone {step.login}: {step.extension} on {step.server_ip}"
        case AddAlias():
            return f"+ alias {step.alias_id}: {','.join(step.logins)}"
        case ChangeAlias():
            return f"~ alias {step.alias_id}: {'; '.join(_changes_of_alias(step, existing))}"
        case DeleteAlias():
            return f"- alias {step.alias_id}"


def _changes_of_alias(step: ChangeAlias, existing: Existing) -> list[str]:
    """Return what is changed, with what was before, if that is known."""
    before = existing.aliases_by_id.get(compared(step.alias_id))
    logins, name = ("", "") if before is None else (f"{','.join(before.logins)} -> ", f"{before.name} -> ")
    listed = [f"{logins}{','.join(step.logins)}"] if step.logins else []
    return [*listed, f"name {name}{step.name}"] if step.name else listed


def _changes(step: ChangePhone) -> list[str]:
    named = {"login password": step.password, "registration secret": step.secret}
    protocol = [f"protocol {step.protocol}"] if step.protocol else []
    return [*(name for name, value in named.items() if value), *protocol]


def filled(plan: Plan, made: Mapping[str, Credentials]) -> Plan:
    """Return a plan with new passwords and secrets, by alias, where it lacks them."""
    return Plan(desks=tuple(_filled(desk, made) for desk in plan.desks))


def _filled(desk: DeskPlan, made: Mapping[str, Credentials]) -> DeskPlan:
    if not (desk.new_password or desk.new_secret):
        return desk
    new = made[desk.alias_id]
    steps = tuple(
        msgspec.structs.replace(
            step,
            password=new.password if step.password is None else step.password,
            secret=new.secret if step.secret is None else step.secret,
        )
        if isinstance(step, AddPhone)
        else step
        for step in desk.steps
    )
    return msgspec.structs.replace(desk, steps=steps)


def inverses_of(steps: Sequence[AnyStep], existing: Existing) -> list[AnyStep | None]:
    """Return the step that takes each step back, in the order of these; None: nothing does.

    VICIdial's API takes signs out of what it is given without a word, and makes no phone of some kinds. So what was
    there before is sent back only where all of it would come out as it was. An alias's list comes back without what
    would be no phone then, which its API refuses.
    """
    for_good = {
        compared(step.login)
        for step in steps
        if isinstance(step, DeletePhone) and _inverse_of(step, existing, frozenset()) is None
    }
    logins = {compared(phone.login) for phone in existing.phones} - for_good
    return [_inverse_of(step, existing, logins) for step in steps]


def _inverse_of(step: AnyStep, existing: Existing, logins: Collection[str]) -> AnyStep | None:
    """Return the step that takes a step back. `logins`: the phones that there are once all is taken back."""
    match step:
        case AddPhone():
            return DeletePhone(extension=step.extension, server_ip=step.server_ip, login=step.login)
        case AddAlias():
            return DeleteAlias(alias_id=step.alias_id)
        case ChangePhone():
            phone = _phone(existing, step)
            return None if phone is None else _as_it_was(step, phone)
        case ChangeAlias():
            alias = existing.aliases_by_id.get(compared(step.alias_id))
            return None if alias is None else _listed_as_it_was(step, alias, logins)
        case DeletePhone():
            phone = _phone(existing, step)
            return None if phone is None else _made_again(phone)
        case DeleteAlias():
            return None


def _phone(existing: Existing, step: ChangePhone | DeletePhone) -> Phone | None:
    return existing.phones_by_extension.get(compared(step.extension), {}).get(step.server_ip)


def _as_it_was(step: ChangePhone, phone: Phone) -> ChangePhone | None:
    password, secret, protocol = phone.password or "", phone.secret or "", phone.protocol
    kept = (
        (not step.password or KEPT_SECRET.fullmatch(password))
        and (not step.secret or KEPT_SECRET.fullmatch(secret))
        and (not step.protocol or protocol in MADE_BY_API)
    )
    if not kept:
        return None
    return ChangePhone(
        extension=step.extension,
        server_ip=step.server_ip,
        login=step.login,
        password=password if step.password else "",
        secret=secret if step.secret else "",
        protocol=protocol if step.protocol else "",
    )


def _listed_as_it_was(step: ChangeAlias, alias: Alias, logins: Collection[str]) -> ChangeAlias | None:
    listed = tuple(each for each in alias.logins if compared(each) in logins and KEPT.fullmatch(each))
    if (step.logins and not listed) or (step.name and not KEPT_ALIAS_NAME.fullmatch(alias.name)):
        return None
    return ChangeAlias(
        alias_id=alias.alias_id, name=alias.name if step.name else "", logins=listed if step.logins else ()
    )


def _made_again(phone: Phone) -> AddPhone | None:
    """Return the step that makes a deleted phone again, as far as it is known: its voicemail, for one, is not."""
    password, secret = phone.password or "", phone.secret or ""
    kept = (
        KEPT.fullmatch(phone.extension)
        and KEPT.fullmatch(phone.login)
        and KEPT_SECRET.fullmatch(password)
        and KEPT_SECRET.fullmatch(secret)
    )
    # the API makes active phones only
    if not kept or phone.protocol not in MADE_BY_API or not phone.active:
        return None
    return AddPhone(
        extension=phone.extension,
        server_ip=phone.server_ip,
        login=phone.login,
        password=password,
        secret=secret,
        protocol=phone.protocol,
        name=phone.extension,
        dialplan_number=phone.extension,
        voicemail_id=phone.extension,
        webphone=phone.webphone,
    )
