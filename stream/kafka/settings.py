"""The settings of a connection to Kafka, apart from kafka-python: most commands need only these."""

from typing import Any, Literal

import msgspec

from messages.topics import DEFAULT_PARTITIONS, DEFAULT_PREFIX, Topic


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Kafka's addresses, the login, and the names of the topics."""

    bootstrap_servers: tuple[str, ...] = ("localhost:9092",)
    """Some of the brokers, each `host:port`."""
    prefix: str = DEFAULT_PREFIX
    """The first part of the names of all topics, groups and transactional ids."""
    partitions: int = DEFAULT_PARTITIONS
    """The number of partitions of each topic."""
    client_id: str = "hotdesk"
    """The name of this process in Kafka's own logs and quotas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    sasl_username: str = ""
    sasl_password: str = ""
    ssl_cafile: str | None = None
    """PEM; None: the system's authorities."""
    ssl_certfile: str | None = None
    """PEM; this client's own certificate, if Kafka asks for one."""
    ssl_keyfile: str | None = None

    def topic_name(self, topic: Topic) -> str:
        """Return a topic's name in Kafka."""
        return self.prefix + topic

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"KafkaSettings({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the fields to show, with the password hidden."""
        shown = msgspec.structs.asdict(self)
        if self.sasl_password:
            shown |= {"sasl_password": "***"}
        return list(shown.items())
