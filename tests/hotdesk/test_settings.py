"""Settings: what wins over what, what is refused and how, and that no secret is ever shown."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.probes.ami import AmiTarget
from collectors.probes.prober import DialerProbes, ProbeSettings
from collectors.probes.sip import SipTarget
from hotdesk.errors import SettingsError
from hotdesk.notify.settings import notify_settings
from hotdesk.settings import (
    ApiOptions,
    ClusterSettings,
    FromFile,
    LogOptions,
    Options,
    clusters,
    read_file,
    unknown_variables,
)
from tests.support.builders import secret_file

SECRET = "hunter22-is-no-good"


def refusal(from_file: object, options: Options | None = None, environment: dict[str, str] | None = None) -> str:
    """Return the sentence by which clusters are refused: one line, and no secret in it."""
    with pytest.raises(SettingsError) as refused:
        clusters(from_file, options or Options(), environment or {})
    said = str(refused.value)
    assert "\n" not in said
    assert SECRET not in said
    return said


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    options = Options(clusters={"west": {"user": "flag"}})
    environment = {"HOTDESK_CLUSTERS__WEST__USER": "variable", "HOTDESK_CLUSTERS__WEST__HOST": "variable"}
    from_file = {"west": {"user": "file", "host": "file", "database": "file"}}
    settings = clusters(from_file, options, environment)["west"]
    assert (settings.user, settings.host, settings.database) == ("flag", "variable", "file")


def test_numbers_from_the_environment_are_numbers() -> None:
    environment = {
        "HOTDESK_CLUSTERS__WEST__PORT": "3307",
        "HOTDESK_CLUSTERS__WEST__MAX_AGENTS": "40",
        "HOTDESK_CLUSTERS__WEST__STALLED_AFTER_SECONDS": "4.5",
    }
    settings = clusters({}, Options(), environment)["west"]
    assert (settings.port, settings.max_agents, settings.stalled_after_seconds) == (3307, 40, 4.5)


def test_an_underscore_in_a_variable_is_a_dash_in_a_name() -> None:
    assert clusters({}, Options(), {"HOTDESK_CLUSTERS__NORTH_WEST__PORT": "1"}).keys() == {"north-west"}


def test_the_policy_is_what_the_table_says() -> None:
    table = {"max_agents": 50, "max_agents_of": {"10.0.0.1": 30}, "stalled_after_seconds": 3}
    policy = clusters({"west": table}, Options(), {})["west"].policy()
    assert policy.max_agents_on("10.0.0.1") == 30
    assert policy.max_agents_on("10.0.0.2") == 50
    assert policy.stalled_after_seconds == 3


@pytest.mark.parametrize("name", ["West", "we_st", "-west", "we st", "we/st", "", "w" * 64, "wést"])
def test_a_cluster_name_that_would_not_do_in_a_key_is_refused(name: str) -> None:
    assert "use lower-case letters" in refusal({name: {}})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"prot": 3306}, "prot"),
        ({"port": SECRET}, "port"),
        ({"port": 0}, "port"),
        ({"port": 65536}, "port"),
        ({"host": 5}, "host"),
        ({"max_agents": 0}, "max_agents"),
        ({"max_agents_of": 5}, "max_agents_of"),
        ({"max_agents_of": {"10.0.0.1": -1}}, "max_agents_of"),
        ({"stalled_after_seconds": 0.5}, "stalled_after_seconds"),
        ({"stalled_after_seconds": 2.4}, "stalled_after_seconds"),
        ({"stalled_after_seconds": 121}, "stalled_after_seconds"),
        ({"moves_per_second": 0.4}, "moves_per_second"),
        ({"moves_of_a_user": 21}, "moves_of_a_user"),
        ({"wrapup_seconds": 1e9}, "wrapup_seconds"),
        (
            {"mode": "act", "maintenance": [{"start": "00:00", "minutes": 1440}]},
            "maintenance covers all dialers at every time",
        ),
        (
            {"mode": "act", "maintenance": [{"start": each, "minutes": 720} for each in ("00:00", "12:00")]},
            "maintenance covers all dialers at every time",
        ),
        ({"usr": "x"}, "clusters.west.usr is no setting: did you mean user?"),
        ({"stalled_after": 3}, "did you mean stalled_after_seconds?"),
        ({"xyzzy": 3}, "there are act_on_heartbeat_alone, "),
        ({"stalled_after_seconds": "soon"}, "stalled_after_seconds"),
        ({"ami_port": 0}, "ami_port"),
        ({"sip_port": 65536}, "sip_port"),
        ({"sip": "perhaps"}, "sip"),
        ({"probes": SECRET}, "probes"),
        ({"probes": {"10.0.0.1": {"ami_host": "dialer1"}}}, "probes"),
        ({"probes": {"10.0.0.1": {"ami_port": 0}}}, "ami_port"),
        ({"probes": {"10.0.0.1": {"ami_secret": SECRET}}}, "ami_secret"),
    ],
)
def test_a_key_or_value_that_does_not_fit_is_named(table: dict[str, object], said: str) -> None:
    sentence = refusal({"west": table})
    assert "clusters.west" in sentence
    assert said in sentence


@pytest.mark.parametrize(
    "table",
    [
        {"stalled_after_seconds": 2.5},
        {"moves_per_second": 1},
        {"mode": "act", "sip": False, "act_on_heartbeat_alone": True},
        {"mode": "act", "sip": False, "ami_user": "hotdesk"},
        {"mode": "act", "sip": False, "probes": {"10.0.0.1": {"sip": True}}},
        {"maintenance": [{"start": "00:00", "minutes": 1440}]},
        {"mode": "act", "maintenance": [{"start": "03:00", "minutes": 1440, "days": ["sun"]}]},
        {"mode": "act", "maintenance": [{"start": "00:00", "minutes": 1440, "dialers": ["10.0.0.1"]}]},
    ],
    ids=str,
)
def test_settings_that_only_look_odd_are_taken(table: dict[str, object]) -> None:
    assert clusters({"west": table}, Options(), {}).keys() == {"west"}


def test_addresses_of_the_agent_api_may_come_by_variable() -> None:
    given = {"HOTDESK_CLUSTERS__WEST__AGENT_API": "https://web1/agc/api.php, https://web2/agc/api.php"}
    found = clusters({}, Options(), given)["west"].agent_api
    assert found == ("https://web1/agc/api.php", "https://web2/agc/api.php")


def test_a_variable_that_is_no_setting_is_named_with_the_one_that_was_meant() -> None:
    given = {"HOTDESK_API_PRT": "1", "HOTDESK_API_PORT": "1", "HOTDESK_TOKEN": "t", "HOTDESK_API_SERVICE_HOST": "h"}
    assert unknown_variables(given) == {"HOTDESK_API_PRT": "HOTDESK_API_PORT"}


@pytest.mark.parametrize("tables", [5, ["west"], {"west": 5}, {"password": SECRET}])
def test_clusters_that_are_no_tables_are_refused(tables: object) -> None:
    assert "[clusters.NAME]" in refusal(tables)


def test_a_password_in_the_file_is_refused_and_the_other_ways_are_named() -> None:
    said = refusal({"north-west": {"password": SECRET}})
    assert "password_file" in said
    assert "HOTDESK_CLUSTERS__NORTH_WEST__PASSWORD" in said


def test_a_password_in_a_flag_is_refused() -> None:
    assert "a flag" in refusal({}, Options(clusters={"west": {"password": SECRET}}))


def test_a_password_comes_from_the_environment() -> None:
    settings = clusters({}, Options(), {"HOTDESK_CLUSTERS__WEST__PASSWORD": SECRET})["west"]
    assert settings.database_settings().password == SECRET


def test_a_password_comes_from_a_file_of_its_own(tmp_path: Path) -> None:
    secret_file(tmp_path / "password", f"{SECRET}\n")
    settings = clusters({"west": {"password_file": str(tmp_path / "password")}}, Options(), {})["west"]
    assert settings.database_settings().password == SECRET


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.touch(0o600)
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"password's file .*password cannot be read"):
        ClusterSettings(password_file=str(path)).database_settings()


def test_a_password_is_never_shown() -> None:
    settings = ClusterSettings(password=SECRET)
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings.database_settings())
    assert SECRET not in repr({"west": settings, "east": settings.database_settings()})


def test_by_default_sip_is_asked_in_doubt_and_it_can_be_switched_off() -> None:
    assert ClusterSettings().probe_settings() == ProbeSettings(sip=True, sip_pace="in_doubt")
    assert not ClusterSettings(sip=False).probe_settings().any_probe


def test_the_settings_say_how_each_dialer_is_probed() -> None:
    table = {
        "ami_user": "watch",
        "sip": True,
        "sip_port": 5070,
        "probes": {
            "10.0.0.2": {"ami_host": "192.0.2.2", "ami_port": 5039, "sip": False},
            "10.0.0.3": {"ami": False, "sip_port": 5060},
        },
    }
    environment = {"HOTDESK_CLUSTERS__WEST__AMI_SECRET": SECRET, "HOTDESK_CLUSTERS__WEST__AMI_PORT": "5040"}
    probes = clusters({"west": table}, Options(), environment)["west"].probe_settings()
    assert probes.any_probe
    assert probes.probes_of(["10.0.0.1", "10.0.0.2", "10.0.0.3", "dialer4"]) == {
        "10.0.0.1": DialerProbes(
            ami=AmiTarget(host="10.0.0.1", port=5040, user="watch", secret=SECRET),
            sip=SipTarget(host="10.0.0.1", port=5070),
        ),
        "10.0.0.2": DialerProbes(ami=AmiTarget(host="192.0.2.2", port=5039, user="watch", secret=SECRET)),
        "10.0.0.3": DialerProbes(sip=SipTarget(host="10.0.0.3")),
        "dialer4": DialerProbes(),
    }


def test_sip_needs_no_account_and_its_pace_may_come_by_variable() -> None:
    settings = clusters({}, Options(), {"HOTDESK_CLUSTERS__WEST__SIP_PACE": "every_second"})["west"]
    assert settings.probe_settings() == ProbeSettings(sip=True, sip_pace="every_second")
    assert "sip_pace" in refusal({"west": {"sip_pace": "always"}})


def test_an_ami_secret_in_the_file_is_refused_and_the_other_ways_are_named() -> None:
    said = refusal({"west": {"ami_user": "watch", "ami_secret": SECRET}})
    assert "ami_secret_file" in said
    assert "HOTDESK_CLUSTERS__WEST__AMI_SECRET" in said
    assert "a flag" in refusal({}, Options(clusters={"west": {"ami_secret": SECRET}}))


def test_an_ami_secret_comes_from_a_file_of_its_own_and_is_never_shown(tmp_path: Path) -> None:
    secret_file(tmp_path / "secret", f"{SECRET}\n")
    settings = ClusterSettings(ami_user="watch", ami_secret_file=str(tmp_path / "secret"))
    probes = settings.probe_settings()
    assert probes.ami_secret == SECRET
    assert SECRET not in f"{probes!r} {ClusterSettings(ami_user='watch', ami_secret=SECRET)!r}"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (ClusterSettings(ami_user="watch"), "ami_secret_file"),
        (ClusterSettings(ami_secret=SECRET), "ami_user"),
        (ClusterSettings(ami_user="watch", ami_secret_file="/not/there"), "AMI secret's file /not/there"),
        (ClusterSettings(ami_user="watch", ami_secret=f"{SECRET}\nAction: Reload"), "line break"),
    ],
)
def test_an_account_that_could_not_log_in_is_refused(settings: ClusterSettings, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        settings.probe_settings()
    assert SECRET not in str(refused.value)


def test_kafkas_password_comes_from_environment_or_file_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file(tmp_path / "password", f"{SECRET}\n")
    options = LogOptions(
        bootstrap=("127.0.0.1:9092",),
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="hotdesk",
        sasl_password_file=str(tmp_path / "password"),
    )
    assert options.kafka().sasl_password == SECRET
    assert SECRET not in repr(options) + repr(options.kafka())
    monkeypatch.setenv("HOTDESK_LOG_SASL_PASSWORD", "from-the-environment")
    assert options.kafka().sasl_password == "from-the-environment"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (LogOptions(bootstrap=("kafka1",)), "log.bootstrap"),
        (LogOptions(bootstrap=("kafka1:port",)), "log.bootstrap"),
        (LogOptions(bootstrap=("kafka1:9092,kafka2:9092",)), "log.bootstrap"),
        (LogOptions(bootstrap=("kafka1:9092",), prefix="hot desk."), "log.prefix"),
        (LogOptions(bootstrap=("kafka1:9092",), security_protocol="SASL_SSL"), "log.sasl_mechanism"),
        (LogOptions(bootstrap=("kafka1:9092",), sasl_password_file="/not/there"), "/not/there"),
    ],
)
def test_what_no_kafka_could_make_use_of_is_refused(options: LogOptions, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        options.kafka()


def test_a_broker_may_have_an_ipv6_address() -> None:
    assert LogOptions(bootstrap=("[::1]:9092",)).kafka().bootstrap_servers == ("[::1]:9092",)


def test_a_file_that_need_not_be_there_may_be_absent(tmp_path: Path) -> None:
    assert read_file(tmp_path / "hotdesk.toml", must_exist=False) == FromFile({}, {}, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[log", "cannot be read"),
        ("[log]\npath = 'a'\npath = 'b'", "cannot be read"),
        ("[lock]\npath = 'a'", r"\[lock\] is no table"),
        ("log = 5", r"write \[log\]"),
        ("[log]\npth = 'a'", "log.pth is no setting"),
        (f"[log]\nsasl_password = '{SECRET}'", "sasl_password_file"),
        ("[api]\ntokenfile = 'a'", "api.tokenfile is no setting"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=said) as refused:
        read_file(path, must_exist=True)
    assert "mine.toml" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[clusters.main]\nmode = "active"', """line 2: clusters.main.mode is 'active': write "act" or "advise\""""),
        (
            "[clusters.main]\n\nstalled_after_seconds = 0.5",
            "line 3: clusters.main.stalled_after_seconds does not fit: write a number from 2.5 to 120",
        ),
        ("[clusters.main]\nport = 0", "line 2: clusters.main.port does not fit: write a whole number from 1 to 65535"),
        ("[clusters.main]\nmax_agents = 0", "clusters.main.max_agents does not fit: write a whole number, 1 or more"),
        ("[clusters.main]\nusr = 5", "line 2: clusters.main.usr is no setting: did you mean user?"),
        ("[clusters.main]\nsip = 5", "line 2: clusters.main.sip does not fit: write true or false"),
        ("[clusters.main]\nhost = 5", "line 2: clusters.main.host does not fit: write a text in quotes"),
        ("[clusters.main]\nagent_api = 5", "line 2: clusters.main.agent_api does not fit: write a list of texts"),
        (
            '[clusters.main]\n[[clusters.main.maintenance]]\nminutes = 5\nstart = "25:00"',
            'line 4: clusters.main.maintenance.start does not fit: write a time of day from "00:00" to "23:59"',
        ),
        (
            "[clusters.main]\nmaintenance = [{ minutes = 5 }]",
            "line 2: clusters.main.maintenance.start is not set: write a time of day",
        ),
        (
            '[[clusters.main.maintenance]]\nstart = "05:00"\nminutes = 5\ndays = ["mo"]',
            """line 4: clusters.main.maintenance.days is 'mo': write "fri", "mon", """,
        ),
        (
            '[clusters.main.probes."10.0.0.1"]\nami = true\n[clusters.main.probes."10.0.0.2"]\nami = 5',
            "line 4: clusters.main.probes.10.0.0.2.ami does not fit: write true or false",
        ),
        (f"[clusters.main]\npassword = '{SECRET}'", "line 2: clusters.main.password stands in the TOML file"),
        ("[clusters]\nmode = 'act'", "line 2: clusters.mode is no table: write [clusters.NAME]"),
        ("\nclusters = 5", "line 2: clusters is no table: write [clusters.NAME]"),
        ("[clusters.Main]", "line 1: clusters.Main is no name of a cluster"),
        ("[notify.ops]", 'line 1: notify.ops.kind is not set: write "apprise", "command", '),
        ('[notify.ops]\nkind = "slck"', """line 2: notify.ops.kind is 'slck': write "apprise", "command", """),
        ('[notify.ops]\nkind = "json"\nevnts = []', "line 3: notify.ops.evnts is no setting: did you mean events?"),
        (f'[notify.ops]\nkind = "json"\nurl = "{SECRET}"', "line 3: notify.ops.url stands in the TOML file"),
        ("\n[api]\nprt = 1", "line 3: api.prt is no setting: did you mean port?"),
        ("[lock]", "line 1: [lock] is no table"),
    ],
    ids=str,
)
def test_a_refusal_names_file_and_line_and_says_what_to_write(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refused:
        _take(path)
    sentence = str(refused.value)
    assert sentence.startswith(f"{path}, line ")
    assert said in sentence
    assert "\n" not in sentence
    assert SECRET not in sentence


def _take(path: Path) -> None:
    """Read a file as the commands do."""
    found = read_file(path, must_exist=True)
    clusters(found.clusters, Options(), {})
    notify_settings(found.notify, {})


def test_a_refusal_of_what_is_in_no_file_names_the_variable_or_the_flag() -> None:
    by_variable = refusal({}, environment={"HOTDESK_CLUSTERS__NORTH_WEST__MODE": "active"})
    assert by_variable.startswith("HOTDESK_CLUSTERS__NORTH_WEST__MODE: clusters.north-west.mode is 'active': write")
    by_flag = refusal({"west": {"port": 1}}, Options(clusters={"west": {"port": "many"}}), {})
    assert by_flag.startswith("--clusters.west.port does not fit: write a whole number from 1 to 65535")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe[log]")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_file(path, must_exist=True)


@pytest.mark.parametrize(
    ("options", "reached"),
    [
        (ApiOptions(), "http://127.0.0.1:8470"),
        (ApiOptions(host="::1"), "http://[::1]:8470"),
        (ApiOptions(host="0.0.0.0"), "http://here:8470"),  # noqa: S104
        (ApiOptions(host="::"), "http://here:8470"),
        (ApiOptions(host="0.0.0.0", url="https://one:443"), "https://one:443"),  # noqa: S104
    ],
)
def test_an_api_is_never_said_to_be_at_every_address(options: ApiOptions, reached: str) -> None:
    assert options.reached_at(8470, this_machine="here") == reached


def test_a_maintenance_window_is_taken_as_written() -> None:
    table = {"start": "03:30", "minutes": 20, "days": ["sun"], "dialers": ["10.0.0.11"], "zone": "Europe/Berlin"}
    made = clusters({"west": {"maintenance": [table]}}, Options(), {})["west"].policy()
    (window,) = made.windows
    assert (window.start_minute, window.minutes, window.weekdays) == (210, 20, frozenset({6}))
    sunday = round(datetime(2027, 1, 17, 2, 35, tzinfo=UTC).timestamp() * 1000)  # 03:35 in Berlin
    assert made.in_maintenance("10.0.0.11", sunday)
    assert not made.in_maintenance("10.0.0.12", sunday)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"start": "24:00", "minutes": 5}, "maintenance"),
        ({"start": "03:00", "minutes": 0}, "maintenance"),
        ({"start": "03:00", "minutes": 5, "days": ["sunday"]}, "maintenance"),
        ({"start": "03:00", "minutes": 5, "zone": "Berlin"}, "'Berlin' is no time zone"),
    ],
)
def test_a_maintenance_window_that_does_not_fit_is_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        clusters({"west": {"maintenance": [table]}}, Options(), {})["west"].policy()


def test_a_secret_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = secret_file(tmp_path / "password", f"{SECRET}\n")
    settings = ClusterSettings(password_file=str(path))
    assert settings.database_settings().password == SECRET
    path.chmod(0o640)
    assert settings.database_settings().password == SECRET, "a group may be the service's own"
    path.chmod(0o644)
    with pytest.raises(SettingsError) as refused:
        settings.database_settings()
    assert str(refused.value).endswith(f"chmod o-r {path}")
    assert "is refused: every account on this machine may read it" in str(refused.value)
    assert "cannot be read" not in str(refused.value)
    assert SECRET not in str(refused.value)
    bad = str(path)
    for refuses in (
        ClusterSettings(ami_user="a", ami_secret_file=bad).probe_settings,
        ClusterSettings(agent_api=("http://web/",), agent_api_user="u", agent_api_password_file=bad).actuator_settings,
        LogOptions(bootstrap=("k:1",), sasl_password_file=bad).kafka,
        LogOptions(bootstrap=("k:1",), tls_key=bad).kafka,
        ApiOptions(tls_cert=bad, tls_key=bad).certificate,
    ):
        with pytest.raises(SettingsError, match="chmod o-r"):
            refuses()


@pytest.mark.parametrize(
    ("table", "by"),
    [
        ({}, "sql"),
        ({"agent_api": ["https://web/agc/api.php"]}, "api"),
        ({"agent_api": ["https://web/agc/api.php"], "relogin_via": "sql"}, "sql"),
        ({"relogin_via": "api"}, "api"),
    ],
)
def test_screens_are_reached_by_sql_unless_there_is_an_agent_api(table: dict[str, object], by: str) -> None:
    west = clusters({"west": table}, Options(), {})["west"]
    assert (west.acts_by, west.policy().calls_phones) == (by, by == "api")
