"""The plan for a cluster's desks: what is missing, what contradicts, what is to be made. Pure.

What exists and is right is left alone. What contradicts itself is not mended by a guess: that desk is left out, and the
plan says why, in the words of the readiness check where that has the same fault. The same facts always make the same
plan, and a plan that was carried out leaves nothing to do.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_address
from itertools import count, product
from string import ascii_lowercase
from typing import NamedTuple

from controller.core.readiness import ReadinessFinding, Severity
from hotdesk.aliases.records import (
    DIALLED,
    KEPT,
    LONGEST_ALIAS,
    LONGEST_LIST,
    LONGEST_LOGIN,
    MADE_BY_API,
    TYPED_ALIAS,
    USUAL_PROTOCOL,
    AddAlias,
    AddPhone,
    Alias,
    AnyStep,
    ChangeAlias,
    ChangePhone,
    DeletePhone,
    Desk,
    DeskPlan,
    Existing,
    Phone,
    Plan,
)
from messages.names import compared
from messages.records import AliasDefect, ServerIp
from messages.words import remedy, sentence

LONGEST_LETTERS = 3
"""Letters at the end of a login that may stand for its dialer."""


class _Values(NamedTuple):
    """The passwords, secrets or protocols of a desk's phones, and the one that is wanted."""

    wanted: str
    """Empty: a new one."""
    differ: bool
    """Those of the phones differ, and none is said to be right."""
    unread: bool
    """There are phones, and theirs is not known."""
    empty: bool
    """Some phone has none."""


def plan(
    existing: Existing, desks: Sequence[Desk], dialers: Sequence[ServerIp], gone: Collection[ServerIp] = ()
) -> Plan:
    """Return what is to be done so that each desk has a phone on each of the dialers, and an alias over them.

    Args:
        existing: what VICIdial has.
        desks: those that are wanted, each extension and alias once; their place decides where an alias's list begins.
        dialers: on which each desk is to have a phone.
        gone: dialers that go away: aliases no longer list the desks' phones there, and these are deleted.
    """
    facts = _Facts(existing, dialers, desks)
    wanted = sorted(dict.fromkeys(dialers), key=_in_order)
    return Plan(desks=tuple(_OneDesk(facts, desk, at, wanted, gone).planned() for at, desk in enumerate(desks)))


def letters_of(existing: Existing, dialers: Sequence[ServerIp]) -> Mapping[ServerIp, str]:
    """Return the letters at the end of the logins on each dialer: those in use there, else the next that are free.

    So a dialer that joins or leaves changes the letters of no other.
    """
    votes: dict[ServerIp, Counter[str]] = {}
    for phone in existing.phones:
        login, extension = compared(phone.login), compared(phone.extension)
        letters = login.removeprefix(extension)
        if login != letters and len(letters) <= LONGEST_LETTERS and letters.isascii() and letters.isalpha():
            votes.setdefault(phone.server_ip, Counter())[letters] += 1
    claims = sorted(
        ((times, server_ip, letters) for server_ip, found in votes.items() for letters, times in found.items()),
        key=lambda claim: (-claim[0], _in_order(claim[1]), len(claim[2]), claim[2]),
    )
    made: dict[ServerIp, str] = {}
    for _, server_ip, letters in claims:
        if server_ip not in made and letters not in made.values():
            made[server_ip] = letters
    free = (letters for letters in _all_letters() if letters not in set(made.values()))
    return made | {each: next(free) for each in sorted(set(dialers) - made.keys(), key=_in_order)}


def _all_letters() -> Iterator[str]:
    for length in count(1):
        yield from map("".join, product(ascii_lowercase, repeat=length))


def _in_order(server_ip: ServerIp) -> tuple[int, int, str]:
    """Return a key that sorts addresses by their numbers, and what is none after them."""
    try:
        return 0, int(ip_address(server_ip)), ""
    except ValueError:
        return 1, 0, server_ip


class _Facts:
    """The phones and aliases that exist, by the names under which they are looked for."""

    def __init__(self, existing: Existing, dialers: Sequence[ServerIp], desks: Sequence[Desk]) -> None:
        self.letters = letters_of(existing, dialers)
        self.of_extension, self.aliases = existing.phones_by_extension, existing.aliases_by_id
        self.of_login: dict[str, list[Phone]] = {}
        for phone in existing.phones:
            self.of_login.setdefault(compared(phone.login), []).append(phone)
        self.listed_by: dict[str, set[str]] = {}
        for alias in existing.aliases:
            for login in alias.logins:
                self.listed_by.setdefault(compared(login), set()).add(compared(alias.alias_id))
        self.taken = self.of_login.keys() | self.aliases.keys() | {compared(each.alias_id) for each in desks}
        """Names that an agent may type: those that exist, and those that this plan makes."""


def _values_of(phones: Sequence[Phone], name: str, wanted: str) -> _Values:
    """Return what a desk's phones have of one kind, and what is wanted: what the desk says, else what they have."""
    found = {getattr(phone, name) for phone in phones}
    known = {each for each in found if each}
    if wanted:
        return _Values(wanted, differ=False, unread=False, empty=False)
    differ = len(found - {None}) > 1
    return _Values(min(known, default=""), differ=differ, unread=None in found, empty="" in found)


def _merged(listed: Sequence[str], new: Sequence[str], at: int) -> list[str]:
    """Return a list with what is listed in its order, and what is new, from desk to desk elsewhere.

    Of equally loaded dialers VICIdial takes the last one listed. If all lists ended with the same dialer, everybody
    would start there after a quiet night.
    """
    if not listed:
        begin = at % len(new) if new else 0
        return [*new[begin:], *new[:begin]]
    merged = list(listed)
    for number, login in enumerate(new):
        merged.insert((at + number) % (len(merged) + 1), login)
    return merged


class _Findings:
    """The findings about one alias."""

    def __init__(self, alias_id: str) -> None:
        self._where = f"alias {alias_id}"
        self.contradictions: list[ReadinessFinding] = []
        self.remarks: list[ReadinessFinding] = []

    def refuse(self, kind: str, what: str, how: str) -> None:
        self.contradictions.append(self._finding(Severity.ERROR, kind, what, how))

    def refuse_defect(self, defect: AliasDefect) -> None:
        self.refuse(defect.value, sentence(defect), remedy(defect))

    def remark(self, kind: str, what: str, how: str) -> None:
        self.remarks.append(self._finding(Severity.WARNING, kind, what, how))

    def _finding(self, severity: Severity, kind: str, what: str, how: str) -> ReadinessFinding:
        return ReadinessFinding(severity=severity, kind=kind, where=self._where, what=what, remedy=how)


class _OneDesk:
    """Plans one desk."""

    def __init__(
        self, facts: _Facts, desk: Desk, at: int, dialers: Sequence[ServerIp], gone: Collection[ServerIp]
    ) -> None:
        self._facts = facts
        self._desk = desk
        self._at = at
        self._dialers = [each for each in dialers if each not in gone]
        self._gone = gone
        self._phones = facts.of_extension.get(compared(desk.extension), {})
        self._alias: Alias | None = facts.aliases.get(compared(desk.alias_id))
        self._found = _Findings(desk.alias_id)

    def planned(self) -> DeskPlan:
        """Return the plan of this desk."""
        missing = [each for each in self._dialers if each not in self._phones]
        staying = self._staying()
        self._check_names(staying)
        # if none stays, the new ones are as those that leave, or that are elsewhere
        alike = staying or list(self._phones.values())
        password = _values_of(alike, "password", self._desk.password)
        secret = _values_of(alike, "secret", self._desk.secret)
        protocol = _values_of(alike, "protocol", self._desk.protocol)
        self._check_values(password, secret, protocol, missing=bool(missing))
        added = self._added(missing, alike, password.wanted, secret.wanted, protocol.wanted)
        listed = self._list(staying, added)
        self._check_list(listed)
        if self._found.contradictions:
            return DeskPlan(
                alias_id=self._desk.alias_id,
                extension=self._desk.extension,
                contradictions=tuple(self._found.contradictions),
                remarks=tuple(self._found.remarks),
            )
        self._facts.taken.update(compared(each.login) for each in added)
        deleted = (
            DeletePhone(extension=phone.extension, server_ip=phone.server_ip, login=phone.login)
            for phone in self._leaving()
        )
        steps = (*added, *self._changed(staying), *self._alias_steps(listed), *deleted)
        return DeskPlan(
            alias_id=self._desk.alias_id,
            extension=self._desk.extension,
            steps=steps,
            remarks=tuple(self._found.remarks),
            new_password=any(each.password is None for each in added),
            new_secret=any(each.secret is None for each in added),
        )

    def _listed(self) -> tuple[str, ...]:
        """Return the logins that the alias lists now, each once."""
        once: dict[str, str] = {}
        for login in () if self._alias is None else self._alias.logins:
            once.setdefault(compared(login), login)
        return tuple(once.values())

    def _staying(self) -> list[Phone]:
        """Return the desk's phones that stay: on the wanted dialers, and elsewhere if the alias lists them."""
        listed = set(map(compared, self._listed()))
        return [
            phone
            for server_ip, phone in sorted(self._phones.items(), key=lambda each: _in_order(each[0]))
            if server_ip not in self._gone and (server_ip in self._dialers or compared(phone.login) in listed)
        ]

    def _check_alias(self) -> None:
        if compared(self._desk.alias_id) in self._facts.of_login:
            what = "a phone has this login: VICIdial would take one for the other"
            self._found.refuse("alias_is_login", what, "choose another alias")
        if self._alias is None and not TYPED_ALIAS.fullmatch(self._desk.alias_id):
            what = f"the alias {self._desk.alias_id} is not 2 to {LONGEST_ALIAS} letters and digits, which agents type"
            self._found.refuse("alias_not_typed", what, "name another alias in the file of desks")

    def _check_names(self, staying: Sequence[Phone]) -> None:
        self._check_alias()
        mine = compared(self._desk.extension)
        for login in self._listed():
            found = self._facts.of_login.get(compared(login), [])
            if any(compared(phone.extension) != mine for phone in found):
                what = f"it lists {login}, whose extension is not {self._desk.extension}"
                remedy_ = "set the same extension for all, or unlist the phone"
                self._found.refuse("extensions_differ", what, remedy_)
        for phone in (*staying, *self._leaving()):
            login = compared(phone.login)
            if len(self._facts.of_login[login]) > 1:
                self._found.refuse("login_twice", sentence(AliasDefect.TWO_PHONES), remedy(AliasDefect.TWO_PHONES))
            others = self._facts.listed_by.get(login, set()) - {compared(self._desk.alias_id)}
            if others:
                what = f"the alias {min(others)} lists its phone {phone.login} too: two agents could get the same phone"
                self._found.refuse("phone_shared", what, "list each phone in one alias")
        listed = set(map(compared, self._listed()))
        for phone in staying:
            if phone.active:
                continue
            what = f"its phone {phone.login} on {phone.server_ip} is not active"
            if compared(phone.login) in listed:
                self._found.remark("phone_inactive", what, "set the phone active, or unlist it")
            else:
                self._found.remark(
                    "phone_inactive", f"{what}, and is not listed", "set the phone active, and plan again"
                )

    def _check_values(self, password: _Values, secret: _Values, protocol: _Values, *, missing: bool) -> None:
        if password.differ:
            self._found.refuse_defect(AliasDefect.PASSWORDS_DIFFER)
        if secret.differ:
            self._found.refuse_defect(AliasDefect.SECRETS_DIFFER)
        if protocol.differ:
            self._found.refuse("protocols_differ", "its phones have different protocols", "set the same for all")
        if missing and (password.unread or secret.unread):
            what = "its phones' passwords and secrets cannot be read, so no phone like them can be made"
            how = "run collectors/grants-readiness.sql, or write both into the file of desks"
            self._found.refuse("secrets_unread", what, how)
        if missing and (password.empty or secret.empty):
            what = "some of its phones has no password or no registration secret"
            self._found.refuse("secret_empty", what, "write new ones into the file of desks")
        if missing and not KEPT.fullmatch(self._desk.extension):
            what = f"its extension {self._desk.extension} has signs that VICIdial's API takes out"
            self._found.refuse("extension_not_kept", what, "make the missing phones in VICIdial, under Admin, Phones")
        dialled = self._desk.dialplan_number or self._desk.extension
        if missing and not DIALLED.fullmatch(dialled):
            what = (
                f"its extension {self._desk.extension} is not 3 to 20 digits, and what is dialled for it is not known"
            )
            self._found.refuse("dialplan_number_unknown", what, "write dialplan_number into the file of desks")
        if missing and not all(KEPT.fullmatch(each.wanted) for each in (password, secret) if each.wanted):
            what = "its phones' password or secret has signs that VICIdial's API takes out"
            self._found.refuse(
                "secret_not_kept", what, "write new ones of letters, digits, - and _ into the file of desks"
            )
        if missing and (protocol.wanted or USUAL_PROTOCOL) not in MADE_BY_API:
            what = (
                f"its phones are {protocol.wanted}, and VICIdial's API makes phones of {', '.join(sorted(MADE_BY_API))}"
            )
            self._found.refuse("protocol_not_made", what, "make the missing ones in VICIdial, under Admin, Phones")

    def _added(
        self, missing: Sequence[ServerIp], alike: Sequence[Phone], password: str, secret: str, protocol: str
    ) -> list[AddPhone]:
        desk = self._desk
        added = []
        for server_ip in missing:
            login = f"{desk.extension}{self._facts.letters[server_ip]}"
            if len(login) > LONGEST_LOGIN:
                what = f"the login {login} has more than {LONGEST_LOGIN} characters, and VICIdial would cut it off"
                self._found.refuse("login_too_long", what, "use a shorter extension")
            elif compared(login) in self._facts.taken:
                what = f"the login {login}, which its phone on {server_ip} would have, is another phone's or an alias's"
                self._found.refuse("login_taken", what, "give that phone another login, or this desk another extension")
            added.append(
                AddPhone(
                    extension=desk.extension,
                    server_ip=server_ip,
                    login=login,
                    password=password or None,
                    secret=secret or None,
                    protocol=protocol or USUAL_PROTOCOL,
                    name=desk.name or desk.alias_id,
                    dialplan_number=desk.dialplan_number or desk.extension,
                    voicemail_id=desk.voicemail_id or desk.extension,
                    outbound_cid=desk.outbound_cid,
                    local_gmt=desk.local_gmt,
                    phone_context=desk.phone_context,
                    webphone=bool(alike) and all(phone.webphone for phone in alike),
                )
            )
        return added

    def _list(self, staying: Sequence[Phone], added: Sequence[AddPhone]) -> list[str]:
        """Return the alias's list: what is right of it, and what is new."""
        by_login = {compared(phone.login): phone.login for phone in staying}
        right = [login for login in self._listed() if compared(login) in by_login]
        there = set(map(compared, right))
        # VICIdial's login page does not look whether a phone is active: an agent who got it could not log in
        unlisted = {
            phone.server_ip: phone.login for phone in staying if phone.active and compared(phone.login) not in there
        }
        unlisted |= {each.server_ip: each.login for each in added}
        return _merged(right, [unlisted[server_ip] for server_ip in sorted(unlisted, key=_in_order)], self._at)

    def _check_list(self, listed: Sequence[str]) -> None:
        if not listed:
            what = "it would list no phone: it has no active one on the dialers that stay"
            how = "set its phones active, or name the dialers that it is to have with --dialers"
            self._found.refuse("few_phones", what, how)
        length = len(",".join(listed))
        if length > LONGEST_LIST:
            what = f"its list of {len(listed)} logins would have {length} characters, and VICIdial keeps {LONGEST_LIST}"
            self._found.refuse(
                "list_too_long", what, "use shorter extensions, or fewer dialers: an alias cannot be in two parts"
            )

    def _changed(self, staying: Sequence[Phone]) -> Iterator[ChangePhone]:
        """Yield the phones that are not as the desk wants them; one whose secrets cannot be read is taken for right."""
        for phone in staying:
            differs = {
                name: wanted
                for name in ("password", "secret", "protocol")
                if (wanted := getattr(self._desk, name)) and getattr(phone, name) not in {None, wanted}
            }
            if differs:
                yield ChangePhone(extension=phone.extension, server_ip=phone.server_ip, login=phone.login, **differs)

    def _alias_steps(self, listed: Sequence[str]) -> Iterator[AnyStep]:
        logins, name = tuple(listed), self._desk.name
        if self._alias is None:
            yield AddAlias(alias_id=self._desk.alias_id, name=name or self._desk.alias_id, logins=logins)
            return
        same = tuple(map(compared, self._alias.logins)) == tuple(map(compared, logins))
        new_name = name if name and name != self._alias.name else ""
        if new_name or not same:
            yield ChangeAlias(alias_id=self._alias.alias_id, name=new_name, logins=() if same else logins)

    def _leaving(self) -> list[Phone]:
        """Return the desk's phones on dialers that go away."""
        return [self._phones[each] for each in sorted(set(self._gone) & self._phones.keys(), key=_in_order)]
