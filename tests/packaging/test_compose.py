"""The Compose file, as far as that goes without an engine: what it mounts is there, what it says fits the rest."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from hotdesk import settings
from tests.support.builders import secret_file
from tests.support.prometheus import run_tool

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS: dict[str, dict[str, str]] = COMPOSE["secrets"]


def mounts() -> Iterator[tuple[str, str, str]]:
    """Yield the service, source and target of each mount."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            yield name, source, target


@pytest.mark.parametrize("name", SERVICES)
def test_each_image_has_a_release_and_only_hotdesk_is_open_to_other_machines(name: str) -> None:
    image = SERVICES[name]["image"]
    assert image == "hotdesk" or ("latest" not in image and image.count(":") == 1)
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith("127.0.0.1:") or port == "8470:8470"


def test_what_is_mounted_is_there() -> None:
    for _, source, _ in mounts():
        assert source in COMPOSE["volumes"] or (FOLDER / source).exists(), source
    for service in SERVICES.values():
        assert set(service.get("secrets", ())) <= SECRETS.keys()


def test_every_secret_is_one_that_the_document_makes() -> None:
    document = (
        (ROOT / "docs" / "guide" / "install.md").read_text().partition("## With Compose")[2].partition("\n## ")[0]
    )
    for secret in SECRETS.values():
        assert secret["file"].removeprefix("./") in document


def test_prometheus_takes_its_settings(tmp_path: Path) -> None:
    text = (FOLDER / "prometheus.yml").read_text()
    (scraped,) = yaml.safe_load(text)["scrape_configs"]
    (target,) = scraped["static_configs"][0]["targets"]
    assert target.partition(":")[0] in SERVICES
    token = secret_file(tmp_path / "read.token", "a-read-token\n")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/read.token", str(token)))
    (tmp_path / "hotdesk.rules.yml").write_text((ROOT / "alerts" / "hotdesk.rules.yml").read_text())
    run_tool("promtool", "check", "config", "prometheus.yml", at=tmp_path)
    example = yaml.safe_load((ROOT / "alerts" / "prometheus.example.yml").read_text())
    assert {**yaml.safe_load(text)["global"]} == example["global"]


def test_grafana_finds_the_dashboards_and_prometheus() -> None:
    (provider,) = yaml.safe_load((FOLDER / "grafana" / "dashboards.yaml").read_text())["providers"]
    folders = {target: (FOLDER / source).resolve() for name, source, target in mounts() if name == "grafana"}
    assert list(folders[provider["options"]["path"]].glob("hotdesk-*.json"))
    (source,) = yaml.safe_load((FOLDER / "grafana" / "datasources.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"].split("//")[1].partition(":")[0] in SERVICES


def test_the_only_broker_needs_no_other() -> None:
    kafka = SERVICES["kafka"]["environment"]
    for name in ("OFFSETS_TOPIC_REPLICATION_FACTOR", "TRANSACTION_STATE_LOG_REPLICATION_FACTOR"):
        assert kafka[f"KAFKA_{name}"] == "1"
    assert kafka["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "1"
    assert SERVICES["topics"]["environment"]["HOTDESK_LOG_REPLICATION"] == "1"


def test_the_image_is_built_by_a_file_that_is_there() -> None:
    build = SERVICES["hotdesk"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).is_file()


def test_hotdesk_takes_its_settings(tmp_path: Path) -> None:
    for secret in SECRETS:
        secret_file(tmp_path / secret, "read read-token-0123456789\n")
    file = tmp_path / "hotdesk.toml"
    file.write_text((FOLDER / "hotdesk.toml").read_text().replace("/run/secrets", str(tmp_path)))
    file.chmod(0o600)
    tables, clusters, _ = settings.read_file(file, must_exist=True)
    assert not tables
    made = settings.clusters(clusters, settings.Options(), {})
    assert [*made] == ["main"]
    assert made["main"].database_settings().password
    known = {"LOG": fields(settings.LogOptions), "API": fields(settings.ApiOptions)}
    for name in SERVICES["hotdesk"]["environment"].keys() - {"HOTDESK_CONFIG"}:
        _, table, field = name.split("_", 2)
        assert field.lower() in {each.name for each in known[table]}, name
