"""The permissions that each kind of process needs in Kafka, and no more."""

import shlex
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from messages.topics import Topic
from stream.kafka.settings import KafkaSettings

EVERY_TOPIC = tuple(Topic)


class User(StrEnum):
    """A user of Kafka: a role, or a person with the command line."""

    COLLECT = "collect"
    CONTROL = "control"
    SERVE = "serve"
    SETUP = "setup"
    """`hotdesk topics create`, `hotdesk topics check`, and the part of `hotdesk check` about topics."""
    LOOK = "look"
    """`hotdesk replay`."""


class Need(msgspec.Struct, frozen=True):
    """One permission that a user needs."""

    resource: str
    """The kind of resource as `kafka-acls.sh` calls it: topic, group, transactional-id or cluster."""
    name: str
    """With the prefix; for a cluster always `kafka-cluster`."""
    operations: tuple[str, ...]
    """Kafka's own names."""
    prefixed: bool = False
    """It covers every name that begins with `name`."""


READ: dict[User, tuple[Topic, ...]] = {
    User.COLLECT: (Topic.OBSERVATIONS, Topic.ORDERS),
    User.CONTROL: EVERY_TOPIC,
    User.SERVE: EVERY_TOPIC,
    User.SETUP: (),
    User.LOOK: EVERY_TOPIC,
}
WRITTEN: dict[User, tuple[Topic, ...]] = {
    # orders: that its term has begun, for one whose term is over
    User.COLLECT: (Topic.OBSERVATIONS, Topic.ORDERS),
    # observations too: it ends the remaining records of a cluster to be forgotten
    User.CONTROL: EVERY_TOPIC,
    # people's orders, and slots while no owner answers
    User.SERVE: (Topic.ORDERS, Topic.LOGINS, Topic.AUDIT),
    User.SETUP: (),
    User.LOOK: (),
}
"""Describing a topic needs no entry: in Kafka whoever may read or write a topic may describe it."""


def needs(user: User, settings: KafkaSettings) -> Iterator[Need]:
    """Yield the permissions that a user needs, in the order of the documents."""
    for topic in Topic:
        operations = [
            operation for operation, topics in (("Read", READ[user]), ("Write", WRITTEN[user])) if topic in topics
        ]
        if operations:
            yield Need("topic", settings.topic_name(topic), tuple(operations))
    if user is User.SETUP:
        yield Need("topic", settings.prefix, ("Create", "Describe", "DescribeConfigs"), prefixed=True)
    if user is User.CONTROL:
        yield Need("group", f"{settings.prefix}hotdesk-controllers", ("Read",))
        yield Need("transactional-id", f"{settings.prefix}claim-", ("Write", "Describe"), prefixed=True)


def commands(user: User, settings: KafkaSettings, principal: str, properties: str = "") -> Iterator[str]:
    """Yield the command lines of Kafka's own tool that grant these permissions, for a shell.

    Args:
        user: the user to grant them to.
        settings: of the log.
        principal: Kafka's name for that user, such as `User:hotdesk-collect` or `User:CN=collect,O=We`.
        properties: the file with the login of that tool; empty: it needs none.
    """
    login = f" --command-config {shlex.quote(properties)}" if properties else ""
    servers = ",".join(settings.bootstrap_servers)
    for need in needs(user, settings):
        operations = " ".join(f"--operation {each}" for each in need.operations)
        pattern = " --resource-pattern-type prefixed" if need.prefixed else ""
        yield (
            f"kafka-acls.sh --bootstrap-server {servers}{login} --add --allow-principal {shlex.quote(principal)}"
            f" {operations}"
            f" --{need.resource} {need.name}{pattern}"
        )
