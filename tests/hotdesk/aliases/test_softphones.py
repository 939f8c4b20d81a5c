"""Files for softphones: each format is read back by a parser of its own kind, with an account for each dialer."""

import configparser
import csv
import re
from io import StringIO
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdesk.aliases.softphones import LINPHONE, Account, Format, NoFileError, SoftphoneDesk, file_of, registers_by_sip
from tests.support.desks import phone

SECRET = "aB3-_x<&>"
ACCOUNTS = (Account("10.20.0.11", 5060, "dial1", "1001a"), Account("10.20.0.12", 5070, "dial2", "1001b"))


def desk(secret: str = SECRET) -> SoftphoneDesk:
    return SoftphoneDesk("desk1001", "Anna", "1001", "typed", secret, ACCOUNTS)


def _parsed(text: bytes) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 # what hotdesk has just written


def test_baresip_has_a_line_for_each_dialer() -> None:
    file = file_of(desk("aB3-_x"), Format.BARESIP)
    assert file.name == "desk1001.baresip"
    lines = file.text.splitlines()
    assert [re.match(r"<sip:1001@([\d.]+:\d+)>;", line)[1] for line in lines] == ["10.20.0.11:5060", "10.20.0.12:5070"]  # type: ignore[index]
    for line in lines:
        parameters = dict(each.split("=") for each in line.split(">;")[1].split(";"))
        assert parameters == {"auth_user": "1001", "auth_pass": "aB3-_x", "answermode": "auto", "regint": "120"}


def test_linphone_is_xml_with_an_account_and_its_secret_for_each_dialer() -> None:
    file = file_of(desk(), Format.LINPHONE)
    config = _parsed(file.text.encode())
    assert config.tag == f"{{{LINPHONE}}}config"
    entries = {section.get("name"): {entry.get("name"): entry.text for entry in section} for section in config}
    for number, each in enumerate(ACCOUNTS):
        proxy, auth = entries[f"proxy_{number}"], entries[f"auth_info_{number}"]
        assert proxy["reg_identity"] == f"<sip:1001@{each.server_ip}:{each.port}>"
        assert (proxy["reg_sendregister"], auth["passwd"], auth["domain"]) == ("1", SECRET, each.server_ip)
    assert entries["app"] == entries["ui"] == {"auto_answer": "1"}
    assert all(entry.get("overwrite") == "true" for section in config for entry in section)


def test_zoiper_is_xml_with_an_account_for_each_dialer() -> None:
    options = _parsed(file_of(desk(), Format.ZOIPER).text.encode())
    accounts = options.findall("accounts/account")
    assert [each.findtext("SIP_domain") for each in accounts] == ["10.20.0.11:5060", "10.20.0.12:5070"]
    assert {each.findtext("password") for each in accounts} == {SECRET}
    assert {each.findtext("register_on_startup") for each in accounts} == {"true"}
    assert len({each.findtext("ident") for each in accounts}) == 2


def test_microsip_is_an_ini_file_with_an_account_for_each_dialer() -> None:
    ini = configparser.RawConfigParser()
    ini.read_string(file_of(desk(), Format.MICROSIP).text)
    assert ini.sections() == ["Settings", "Account1", "Account2"]
    assert (ini["Account2"]["server"], ini["Account2"]["password"]) == ("10.20.0.12:5070", SECRET)
    assert (ini["Settings"]["accountId"], ini["Settings"]["autoAnswer"]) == ("1", "all")


def test_csv_has_all_there_is() -> None:
    rows = list(csv.DictReader(StringIO(file_of(desk(), Format.CSV).text)))
    assert [(each["server"], each["port"], each["phone_login"]) for each in rows] == [
        ("10.20.0.11", "5060", "1001a"),
        ("10.20.0.12", "5070", "1001b"),
    ]
    assert {(each["username"], each["secret"], each["password"]) for each in rows} == {("1001", SECRET, "typed")}


@pytest.mark.parametrize("wanted", Format)
def test_what_a_format_cannot_carry_is_refused_without_showing_it(wanted: Format) -> None:
    strange = "ge heim;\x01\n"
    if wanted is not Format.CSV:
        with pytest.raises(NoFileError) as refused:
            file_of(desk(strange), wanted)
        assert "heim" not in str(refused.value)
    with pytest.raises(NoFileError):
        file_of(desk()._replace(alias_id="../desk"), wanted)
    assert SECRET not in repr(desk())


@given(st.text(min_size=1, max_size=30))
def test_any_secret_that_is_written_is_read_back(secret: str) -> None:
    def read(wanted: Format) -> str | None:
        try:
            text = file_of(desk(secret), wanted).text
        except NoFileError:
            return secret
        if wanted is Format.MICROSIP:
            ini = configparser.RawConfigParser()
            ini.read_string(text)
            return ini["Account1"]["password"]
        found = _parsed(text.encode("utf-8", "surrogatepass"))
        if wanted is Format.ZOIPER:
            return found.findtext("accounts/account/password")
        return found.findtext(f"{{{LINPHONE}}}section[@name='auth_info_0']/{{{LINPHONE}}}entry[@name='passwd']")

    for wanted in (Format.LINPHONE, Format.ZOIPER, Format.MICROSIP):
        assert read(wanted) == secret


def test_only_phones_that_register_by_sip_have_an_account() -> None:
    for protocol in ("SIP", "PJSIP"):
        assert registers_by_sip(phone("1001a", "10.20.0.11", protocol=protocol))
    for protocol in ("IAX2", "Zap", "EXTERNAL"):
        assert not registers_by_sip(phone("1001a", "10.20.0.11", protocol=protocol))
    assert not registers_by_sip(phone("1001a", "10.20.0.11", active=False))
    assert not registers_by_sip(phone("1001a", "10.20.0.11", webphone=True))
