"""The accounts of a desk's softphone, a file for each desk, with an account for each dialer. Pure.

Each format follows the documents of its own makers, which docs/guide/aliases.md names. An account registers by itself,
answers by itself where the format can say so, and renews its registration often, so that a dialer that comes back has
it again soon.
"""

import configparser
import csv
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from io import StringIO
from typing import NamedTuple
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from controller.core.ranking import REGISTERING
from hotdesk.aliases.records import Phone
from messages.records import ServerIp

BY_SIP = REGISTERING - {"IAX2"}
"""Protocols of phones that register by SIP, which is what all of these files are about."""
RENEWED_SECONDS = 120
"""A dialer that was away has a phone's registration again after this time at the latest."""
LINPHONE = "http://www.linphone.org/xsds/lpconfig.xsd"
FILE_NAME = re.compile(r"\w[-\w]*")
NOT_IN_BARESIP = re.compile(r"[\s;<>\"]")
NOT_IN_INI = re.compile(r"[\x00-\x1f\ud800-\udfff]|^\s|\s$|^\"|^'")
NOT_IN_XML = re.compile(r"[^ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Format(StrEnum):
    """A softphone's format."""

    BARESIP = "baresip"
    LINPHONE = "linphone"
    MICROSIP = "microsip"
    ZOIPER = "zoiper"
    CSV = "csv"


class Account(NamedTuple):
    """A desk's phone on one dialer, as its softphone registers there."""

    server_ip: ServerIp
    port: int
    dialer: str
    """The dialer's name, for people."""
    login: str


class SoftphoneDesk(NamedTuple):
    """A desk, as its softphone needs it."""

    alias_id: str
    name: str
    extension: str
    password: str
    """For the agent to type at VICIdial's login page."""
    secret: str
    """For the softphone to register with."""
    accounts: tuple[Account, ...]

    def __repr__(self) -> str:
        return f"SoftphoneDesk({self.alias_id})"


class File(NamedTuple):
    """A file for one desk."""

    name: str
    text: str

    def __repr__(self) -> str:
        return f"File({self.name})"


class NoFileError(ValueError):
    """A desk cannot have a file in that format; `str()` shows no secret."""


def registers_by_sip(phone: Phone) -> bool:
    """Return True if a softphone of these formats can be this phone; a webphone needs no file."""
    return phone.active and not phone.webphone and phone.protocol.upper() in BY_SIP


def file_of(desk: SoftphoneDesk, wanted: Format) -> File:
    """Return the file of a desk.

    Raises:
        NoFileError: its alias cannot be a file's name, or its secret cannot be written in that format.
    """
    if not FILE_NAME.fullmatch(desk.alias_id):
        raise NoFileError(f"the alias {desk.alias_id!r} cannot be a file's name")
    ending, unfit, written = _FORMATS[wanted]
    if unfit is not None and any(map(unfit.search, (desk.secret, desk.extension))):
        raise NoFileError(f"its secret or extension has signs that a file for {wanted} cannot carry")
    accounts = tuple(each._replace(dialer=_plain(each.dialer)) for each in desk.accounts)
    return File(f"{desk.alias_id}.{ending}", written(desk._replace(name=_plain(desk.name), accounts=accounts)))


def _plain(label: str) -> str:
    """Return a label for people, without what no file could carry."""
    return "".join(each for each in label if each.isprintable()).strip()


def _baresip(desk: SoftphoneDesk) -> str:
    lines = [
        f"<sip:{desk.extension}@{each.server_ip}:{each.port}>;auth_user={desk.extension};auth_pass={desk.secret}"
        f";answermode=auto;regint={RENEWED_SECONDS}\n"
        for each in desk.accounts
    ]
    return "".join(lines)


def _linphone(desk: SoftphoneDesk) -> str:
    config = Element("config", xmlns=LINPHONE)
    _section(config, "sip", {"default_proxy": "0"})
    # the phone's app reads the one, the desktop's the other
    for each in ("app", "ui"):
        _section(config, each, {"auto_answer": "1"})
    for number, account in enumerate(desk.accounts):
        server = f"{account.server_ip}:{account.port}"
        _section(
            config,
            f"auth_info_{number}",
            {"username": desk.extension, "userid": desk.extension, "passwd": desk.secret, "domain": account.server_ip},
        )
        _section(
            config,
            f"proxy_{number}",
            {
                "reg_proxy": f"<sip:{server};transport=udp>",
                "reg_identity": f"<sip:{desk.extension}@{server}>",
                "reg_expires": str(RENEWED_SECONDS),
                "reg_sendregister": "1",
                "publish": "0",
            },
        )
    return _xml(config)


def _section(config: Element, name: str, entries: Mapping[str, str]) -> None:
    section = SubElement(config, "section", name=name)
    for key, value in entries.items():
        SubElement(section, "entry", name=key, overwrite="true").text = value


def _zoiper(desk: SoftphoneDesk) -> str:
    options = Element("options")
    accounts = SubElement(options, "accounts")
    for each in desk.accounts:
        account = SubElement(accounts, "account")
        entries = {
            "ident": each.login,
            "name": f"{desk.alias_id} {each.dialer}",
            "username": desk.extension,
            "password": desk.secret,
            "register_on_startup": "true",
            "protocol": "SIP",
            "reregistration_mode": "custom",
            "reregistration_time": str(RENEWED_SECONDS),
            "SIP_domain": f"{each.server_ip}:{each.port}",
            "SIP_transport_type": "UDP",
            "SIP_use_auth_username": "true",
            "SIP_auth_username": desk.extension,
        }
        for key, value in entries.items():
            SubElement(account, key).text = value
    return _xml(options)


def _xml(root: Element) -> str:
    indent(root)
    return tostring(root, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="UTF-8"?>\n', "\n")
    )


def _microsip(desk: SoftphoneDesk) -> str:
    ini = configparser.RawConfigParser()
    ini.optionxform = str  # type: ignore[assignment,method-assign] # MicroSIP's keys have capitals
    ini["Settings"] = {"accountId": "1", "autoAnswer": "all"}
    for number, each in enumerate(desk.accounts, 1):
        server = f"{each.server_ip}:{each.port}"
        ini[f"Account{number}"] = {
            "label": f"{desk.alias_id} {each.dialer}",
            "server": server,
            "domain": server,
            "username": desk.extension,
            "authID": desk.extension,
            "password": desk.secret,
            "displayName": desk.name,
            "transport": "udp",
            "registerRefresh": str(RENEWED_SECONDS),
        }
    text = StringIO()
    ini.write(text, space_around_delimiters=False)
    return text.getvalue().replace("\n", "\r\n")


def _csv(desk: SoftphoneDesk) -> str:
    text = StringIO()
    written = csv.writer(text, lineterminator="\n")
    written.writerow(("alias", "name", "password", "dialer", "server", "port", "username", "secret", "phone_login"))
    for each in desk.accounts:
        account = (each.dialer, each.server_ip, each.port, desk.extension, desk.secret, each.login)
        written.writerow((desk.alias_id, desk.name, desk.password, *account))
    return text.getvalue()


_FORMATS: Mapping[Format, tuple[str, re.Pattern[str] | None, Callable[[SoftphoneDesk], str]]] = {
    Format.BARESIP: ("baresip", NOT_IN_BARESIP, _baresip),
    Format.LINPHONE: ("linphone.xml", NOT_IN_XML, _linphone),
    Format.MICROSIP: ("microsip.ini", NOT_IN_INI, _microsip),
    Format.ZOIPER: ("zoiper.xml", NOT_IN_XML, _zoiper),
    Format.CSV: ("csv", None, _csv),
}
"""By format: what its files end with, what a secret may not have, and what writes it."""
