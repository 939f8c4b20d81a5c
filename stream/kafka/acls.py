"""What each kind of process must be allowed in Kafka, and no more than that."""

import shlex
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from messages.topics import Topic
from stream.kafka.client import KafkaSettings

EVERY_TOPIC = tuple(Topic)


class User(StrEnum):
    """Who comes to Kafka: a role, or a person with the command line."""

    COLLECT = "collect"
    CONTROL = "control"
    SERVE = "serve"
    SETUP = "setup"
    """`hotdesk topics create`, `hotdesk topics check`, and the topics' part of `hotdesk check`."""
    LOOK = "look"
    """`hotdesk replay`."""


class Need(msgspec.Struct, frozen=True):
    """One thing that a user must be allowed."""

    resource: str
    """As `kafka-acls.sh` names kinds of resources: topic, group, transactional-id or cluster."""
    name: str
    """With the prefix; of a cluster always `kafka-cluster`."""
    operations: tuple[str, ...]
    """As Kafka names them."""
    prefixed: bool = False
    """Whether it holds for everything that begins with `name`."""


READ: dict[User, tuple[Topic, ...]] = {
    User.COLLECT: (Topic.OBSERVATIONS, Topic.ORDERS),
    User.CONTROL: EVERY_TOPIC,
    User.SERVE: EVERY_TOPIC,
    User.SETUP: (),
    User.LOOK: EVERY_TOPIC,
}
WRITTEN: dict[User, tuple[Topic, ...]] = {
    User.COLLECT: (Topic.OBSERVATIONS,),
    # observations, too: it ends what is left of a cluster that is to be forgotten
    User.CONTROL: EVERY_TOPIC,
    # people's orders, and slots while no owner answers
    User.SERVE: (Topic.ORDERS, Topic.LOGINS, Topic.AUDIT),
    User.SETUP: (),
    User.LOOK: (),
}
"""What describes a topic, too: Kafka lets who may read or write it."""


def needs(user: User, settings: KafkaSettings) -> Iterator[Need]:
    """Tell what a user must be allowed, in the order in which the documents give it."""
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
    """Write what grants it as command lines of Kafka's own tool, for a shell.

    Args:
        user: who needs it.
        settings: of the log.
        principal: as whom Kafka knows them, such as `User:hotdesk-collect` or `User:CN=collect,O=We`.
        properties: the file by which that tool logs in; empty: it need not.
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
