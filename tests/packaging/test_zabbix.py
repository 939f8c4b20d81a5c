"""Zabbix' template: well formed, and of fields and tones that the API has."""

import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from controller.api.schemas import ClusterAnswer
from controller.core.tones import Tone

TEMPLATE = Path(__file__).parents[2] / "packaging" / "hotdesk.zabbix.yaml"
TEXT = TEMPLATE.read_text()


def found(within: Any, key: str) -> list[Any]:  # noqa: ANN401 # whatever YAML has
    """Return every value of a key, however deep."""
    if isinstance(within, list):
        return [each for one in within for each in found(one, key)]
    if isinstance(within, dict):
        here = [within[key]] if key in within else []
        return here + [each for value in within.values() for each in found(value, key)]
    return []


def test_each_part_has_an_identity_of_its_own_as_zabbix_wants_it() -> None:
    identities = found(yaml.safe_load(TEXT), "uuid")
    assert len(identities) > 10
    assert len(set(identities)) == len(identities)
    assert all(re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}", each) for each in identities)


def test_it_reads_what_the_api_answers() -> None:
    fields = {each.name for each in msgspec.structs.fields(ClusterAnswer)}
    read = set(re.findall(r"\)\]\.(\w+)\.first\(\)", TEXT))
    assert {"tone", "summary", "dialers", "taking", "agents", "incidents"} == read
    assert read <= fields
    assert set(re.findall(r'\)="(\w+)"', TEXT)) == set(Tone) - {Tone.WELL}


def test_each_trigger_is_about_an_item_that_is_there() -> None:
    keys = set(found(yaml.safe_load(TEXT), "key"))
    for expression in found(yaml.safe_load(TEXT), "expression"):
        for named in re.findall(r"/hotdesk by HTTP/(hotdesk\.[a-z]+(?:\[[^\]]*\])?)", expression):
            assert named in keys
