"""The file of desks: what it may have, and each fault with its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hotdesk.aliases.desk_file import COLUMNS, DeskFileError, parse
from hotdesk.aliases.records import Desk


def faults(text: str) -> str:
    with pytest.raises(DeskFileError) as refused:
        parse(text, "desks.csv")
    return str(refused.value)


def test_a_line_is_a_desk_and_the_rest_has_defaults() -> None:
    assert parse("extension\n1001\n1002\n", "desks.csv") == [
        Desk(extension="1001", alias_id="desk1001"),
        Desk(extension="1002", alias_id="desk1002"),
    ]


def test_all_columns_and_what_spreadsheets_make_of_them() -> None:
    text = (
        "\ufeffExtension;Alias;Name;Password;Secret;Protocol;Dialplan_Number;Voicemail_ID;Outbound_CID;Local_GMT;"
        "Phone_Context\r\n1001;seat1;Anna B.;pw-1;s_1;IAX2;91001;1001;3125550100;1.00;agents\r\n;;;;;;;;;;\r\n"
    )
    assert parse(text, "desks.csv") == [
        Desk(
            extension="1001",
            alias_id="seat1",
            name="Anna B.",
            password="pw-1",
            secret="s_1",
            protocol="IAX2",
            dialplan_number="91001",
            voicemail_id="1001",
            outbound_cid="3125550100",
            local_gmt="1.00",
            phone_context="agents",
        )
    ]


FAULTS = {
    "extension\n1001\n10 02\n": "desks.csv:3: extension '10 02' is not 2 to 14 letters, digits, - and _",
    "extension,alias\n1001,a\n1002,b-c\n": "desks.csv:2: alias 'a' is not",
    "extension,password\n1001,it's\n": "desks.csv:2: password is not 2 to 30 letters",
    "extension,secret\n1001,geheim!\n": "desks.csv:2: secret is not",
    "extension\n1001\n1002\n1001\n": "desks.csv:4: extension 1001 stands in line 2 already",
    "extension,alias\n1001,x1\n1002,X1\n": "desks.csv:3: alias X1 stands in line 2 already",
    "extension,name\n1001\n": "desks.csv:2: 1 cells, and the header has 2",
    "extension,nmae\n1001,x\n": "desks.csv:1: 'nmae' is no column: did you mean name?",
    "alias\nx\n": "desks.csv:1: there is no column extension",
    "extension,extension\n1,2\n": "desks.csv:1: a column stands there twice",
    "extension\n": "desks.csv: it has no desks",
    "": "desks.csv:1: there is no column extension",
    "extension,name\n,Anna\n": "desks.csv:2: it has no extension",
    "extension\ncc100\n": "desks.csv:2: extension cc100 is no number",
    "extension,local_gmt\n1001,5\n": "desks.csv:2: local_gmt '5' is not",
    "extension,protocol\n1001,PJSIP\n": "desks.csv:2: protocol 'PJSIP' is not one of EXTERNAL, IAX2, SIP, Zap",
    'extension\n"1001\n': "desks.csv:2: ",
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_named_with_its_line_and_no_secret(text: str) -> None:
    said = faults(text)
    assert said.startswith(FAULTS[text])
    assert "geheim" not in said
    assert "it's" not in said


def test_all_faults_are_named_at_once() -> None:
    assert faults("extension\n1\n1002\n2\n").count("desks.csv:") == 2


def test_of_many_faults_the_first_ten_are_named_and_the_rest_counted() -> None:
    said = faults("extension\n" + "x y\n" * 500)
    assert said.count("desks.csv:") == 10
    assert said.endswith("; and 490 more")


@given(st.text(alphabet=st.sampled_from('extnsio,;"\n\r01abdeäß= '), max_size=80))
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    for beginning in ("", "extension,name\n", f"{','.join(COLUMNS)}\n"):
        try:
            desks = parse(beginning + text, "desks.csv")
        except DeskFileError:
            assert faults(beginning + text).startswith("desks.csv")
        else:
            assert len({desk.extension for desk in desks}) == len(desks)
