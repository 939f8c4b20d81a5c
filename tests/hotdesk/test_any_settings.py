"""Whatever stands in the file or the environment is taken as settings, or refused in a sentence; nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from hotdesk.errors import SettingsError
from hotdesk.settings import ClusterSettings, LogOptions, Options, clusters, read_file

KEYS = [field.name for field in msgspec.structs.fields(ClusterSettings)]
ODD = [
    "",
    "0",
    "-1",
    "nan",
    "inf",
    "1e400",
    "9" * 5000,
    "\0",
    "http://[",
    "//",
    "a" * 300,
    "true",
    "act",
    "sql",
    "/",
    "é",
]

TOML_VALUE: st.SearchStrategy[Any] = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODD) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "x"]), inner, max_size=3),
    max_leaves=4,
)
TABLE = st.dictionaries(st.sampled_from(KEYS), TOML_VALUE, max_size=5)
VARIABLES = st.dictionaries(
    st.sampled_from([f"HOTDESK_CLUSTERS__WEST__{key}".upper() for key in [*KEYS, "x", ""]]),
    st.text(st.characters(exclude_characters="\0"), max_size=8) | st.sampled_from(ODD),
    max_size=5,
)
"""What an environment can hold has no zero byte, but hotdesk is not who sees to that."""


def taken_or_refused(make: Callable[[], object]) -> None:
    """Do it; a refusal is a sentence that fits a line."""
    refused = ""
    try:
        make()
    except SettingsError as error:
        refused = str(error)
    assert "\n" not in refused


def all_of(settings: ClusterSettings) -> None:
    """Ask settings for everything that a role would."""
    for make in (settings.database_settings, settings.probe_settings, settings.actuator_settings, settings.policy):
        taken_or_refused(make)


@given(TABLE, VARIABLES)
def test_any_table_and_environment_is_a_cluster_or_not(table: dict[str, Any], environment: dict[str, str]) -> None:
    taken_or_refused(lambda: all_of(clusters({"west": table}, Options(), environment)["west"]))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60) | st.text(alphabet='[]{}="\n.,#a1-\\', max_size=40).map(str.encode))
def test_any_file_is_settings_or_not(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "hotdesk.toml"
    file.write_bytes(content)
    taken_or_refused(lambda: read_file(file, must_exist=True))


@pytest.mark.parametrize(
    "content",
    [b"x = " + b"[" * 100_000, b"x = " + b"9" * 5000, b"\xff", b"clusters = 1", b"log = 1", b"x = 2024-13-45", b"\0"],
    ids=["deep", "endless", "no text", "no tables", "no table", "no date", "zero"],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "hotdesk.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError):
        clusters(read_file(file, must_exist=True)[1], Options(), {})


@pytest.mark.parametrize(
    "table",
    [
        {"password_file": "\0"},
        {"ami_user": "a", "ami_secret_file": "\0"},
        {"relogin_via": "api", "agent_api": ["http://["]},
        {"stalled_after_seconds": float("inf")},
        {"stalled_after_seconds": float("nan")},
        {"moves_per_second": "inf"},
        {"moves_per_second": "1e400"},
    ],
    ids=str,
)
def test_a_value_that_is_of_no_use_is_refused(table: dict[str, Any]) -> None:
    def make() -> None:
        made = clusters({"west": {"relogin_via": "sql"} | table}, Options(), {})["west"]
        made.probe_settings()
        made.actuator_settings()
        made.policy()

    with pytest.raises(SettingsError):
        make()


@given(
    st.builds(
        LogOptions,
        bootstrap=st.lists(st.text(max_size=12) | st.sampled_from(["kafka:9092", "[::1]:1"]), max_size=2).map(tuple),
        prefix=st.text(max_size=8),
        sasl_username=st.text(max_size=8),
        sasl_password_file=st.sampled_from(ODD),
        security_protocol=st.sampled_from(["PLAINTEXT", "SASL_SSL"]),
    )
)
def test_any_way_to_kafka_is_one_or_not(options: LogOptions) -> None:
    taken_or_refused(options.kafka)
