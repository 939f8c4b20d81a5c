"""Create the topics that hotdesk needs in Kafka, and check those that exist.

This never changes a topic that exists: its settings belong to the people who run Kafka.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from messages.topics import HISTORY_MS, LONG_RETENTION_MS, RETENTION, SEGMENT_MS, TOMBSTONE_MS, Retention, Topic
from stream.kafka.client import MAX_MESSAGE_BYTES, admin_client, describe_settings, describe_topics, error_for
from stream.kafka.settings import KafkaSettings

DEFAULT_REPLICATION = 3
_UNLIMITED = -1
_CREATED, _EXISTS = 0, 36


class TopicProblem(msgspec.Struct, frozen=True):
    """A fault of a topic with which hotdesk cannot work, or not well."""

    topic: str
    """With its prefix."""
    wrong: str
    remedy: str


class _Rule(StrEnum):
    """How a topic's setting may differ from ours."""

    EXACTLY = "not"
    AT_LEAST = "less than"
    AT_MOST = "more than"


class _Setting(msgspec.Struct, frozen=True):
    value: str
    rule: _Rule
    otherwise: str
    """The consequence of a wrong value."""


_MESSAGE_SIZE = _Setting(str(MAX_MESSAGE_BYTES), _Rule.AT_LEAST, "a poll of a large cluster would be refused")
_SETTINGS: Mapping[Retention, Mapping[str, _Setting]] = {
    Retention.COMPACTED: {
        "cleanup.policy": _Setting("compact", _Rule.EXACTLY, "it would grow for ever, or drop current records"),
        "segment.ms": _Setting(str(SEGMENT_MS), _Rule.AT_MOST, "it would be compacted too seldom"),
        "min.compaction.lag.ms": _Setting(
            str(HISTORY_MS), _Rule.AT_LEAST, "`hotdesk replay` could not look back for an hour"
        ),
        "delete.retention.ms": _Setting(
            str(TOMBSTONE_MS), _Rule.AT_LEAST, "a reader that was away would miss tombstones"
        ),
        "max.message.bytes": _MESSAGE_SIZE,
    },
    Retention.LONG: {
        "cleanup.policy": _Setting("delete", _Rule.EXACTLY, "all but the last record of each cluster would be lost"),
        "retention.ms": _Setting(str(LONG_RETENTION_MS), _Rule.AT_LEAST, "old records would be deleted too early"),
        "max.message.bytes": _MESSAGE_SIZE,
    },
}


def brokers_and_absent(settings: KafkaSettings) -> tuple[int, tuple[str, ...]]:
    """Return the number of Kafka's brokers, and the names of our topics that do not exist.

    Raises:
        LogRefusedError: this user may not describe topics.
        LogUnavailableError: Kafka does not answer.
    """
    with admin_client(settings) as admin:
        brokers = admin.describe_cluster()["brokers"]
        present = describe_topics(admin, settings, Topic)
    return len(brokers), tuple(settings.topic_name(topic) for topic in Topic if topic not in present)


def create_topics(settings: KafkaSettings, replication: int = DEFAULT_REPLICATION) -> list[str]:
    """Create the absent topics, each partition with `replication` copies, and return their names.

    A topic that exists is left as it is: `check_topics` checks it.

    Raises:
        LogRefusedError: Kafka has fewer brokers than `replication`, or does not let this user create topics.
        LogUnavailableError: Kafka does not answer; another call creates the rest.
    """
    with admin_client(settings) as admin:
        present = describe_topics(admin, settings, Topic)
        absent = {
            settings.topic_name(topic): {
                "num_partitions": settings.partitions,
                "replication_factor": replication,
                "configs": {name: setting.value for name, setting in _wanted(topic, replication).items()},
            }
            for topic in Topic
            if topic not in present
        }
        if not absent:
            return []
        answer = admin.create_topics(absent, raise_errors=False)
        for topic in answer["topics"]:
            if topic["error_code"] not in {_CREATED, _EXISTS}:
                raise error_for(topic["error_code"], f"{topic['name']}: {topic['error_message']}")
        admin.wait_for_topics(list(absent))
        return sorted(topic["name"] for topic in answer["topics"] if topic["error_code"] == _CREATED)


def check_topics(settings: KafkaSettings) -> list[TopicProblem]:
    """Return what is wrong with Kafka's topics, compared with what hotdesk needs; empty: nothing.

    Raises:
        LogRefusedError: this user may not describe topics.
        LogUnavailableError: Kafka does not answer.
    """
    with admin_client(settings) as admin:
        present = describe_topics(admin, settings, Topic)
        configs = describe_settings(admin, [settings.topic_name(topic) for topic in present])
    problems = []
    for topic in Topic:
        name = settings.topic_name(topic)
        if topic not in present:
            problems.append(TopicProblem(name, "it does not exist", "run `hotdesk topics create`"))
            continue
        replicas = present[topic]
        if len(replicas) != settings.partitions:
            problems.append(
                TopicProblem(
                    name,
                    f"it has {len(replicas)} partitions, not {settings.partitions}",
                    "set the number of partitions to that of the topics; if they differ, start with another prefix",
                )
            )
        for key, setting in _wanted(topic, min(replicas)).items():
            problems += _compare(settings, name, key, setting, configs[name].get(key))
    return problems


def _wanted(topic: Topic, replication: int) -> dict[str, _Setting]:
    """Return a topic's settings. Appends go on while one copy is away; with a single copy they need it."""
    in_sync = _Setting(
        str(max(1, replication - 1)), _Rule.EXACTLY, "records would be lost with one broker, or refused without it"
    )
    return {**_SETTINGS[RETENTION[topic]], "min.insync.replicas": in_sync}


def _compare(settings: KafkaSettings, name: str, key: str, setting: _Setting, found: str | None) -> list[TopicProblem]:
    if found is None:
        remedy = f"let user {settings.sasl_username!r} describe the settings of topics"
        return [TopicProblem(name, f"{key} cannot be read", remedy)]
    if _fits(setting, found):
        return []
    servers = ",".join(settings.bootstrap_servers)
    return [
        TopicProblem(
            name,
            f"{key} is {found}, {setting.rule} {setting.value}: {setting.otherwise}",
            f"kafka-configs.sh --bootstrap-server {servers} --alter --entity-type topics "
            f"--entity-name {name} --add-config {key}={setting.value}",
        )
    ]


def _fits(setting: _Setting, found: str) -> bool:
    match setting.rule:
        case _Rule.EXACTLY:
            return found == setting.value
        case _Rule.AT_LEAST:
            return int(found) == _UNLIMITED or int(found) >= int(setting.value)
        case _Rule.AT_MOST:
            return int(found) <= int(setting.value)
