"""Wrap kafka-python: clients that connect, give up and fail in ways that can be explained.

kafka-python retries most failures by itself, some of them for ever, and has many types for them. Here every call
ends, and it raises one of two errors: retrying helps, or a person must mend something first.
"""

import contextlib
import re
import ssl
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from messages.topics import Topic
from stream.kafka.settings import KafkaSettings
from stream.log import MAX_RECORD_BYTES, LogError, LogRefusedError, LogUnavailableError

with warnings.catch_warnings():
    # Python 3.11 deprecates the way kafka-python reads its schemas, 3.13 no longer does; callers cannot change that
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition, errors
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.net.compat import KafkaNetClient
    from kafka.net.inet import KafkaNetSocket
    from kafka.net.manager import KafkaConnectionManager
    from kafka.net.selector import NetworkSelector

MAX_MESSAGE_BYTES = MAX_RECORD_BYTES + 64 * 1024
"""Size that a topic must accept (`max.message.bytes`) and a producer may send: a record, and Kafka's own framing."""
FETCH_BYTES = 2 * 1024 * 1024
"""Most that a broker sends at once; a larger record comes alone. A process that reads the whole log keeps the memory
that this needed: measured with a log of 100 MB, 2 MB leave it at 49 MB and 16 MB at 89, and reading is no slower."""
CONNECT_MS = 3_000
FIRST_CONNECT_MS = 1_000
"""How long a broker has to take a connection: this long at first, and `CONNECT_MS` when it failed to do so. One that
stands still takes none, and whoever asked it by chance should ask another soon."""
BOOTSTRAP_MS = 5_000
REQUEST_MS = 5_000
"""How long to wait for a broker that hangs; then the connection is replaced."""
FETCH_WAIT_MS = 500
_LEADER_WAIT_SECONDS = 0.05
_TOPIC_ABSENT, _TOPIC_FORBIDDEN = 3, 29


class _Socket(KafkaNetSocket):  # type: ignore[misc] # kafka-python has no types
    """Connects as kafka-python does without a proxy, and closes the socket if that failed.

    kafka-python 3.0.12 leaves that to the garbage collector: while a broker is away, open files would pile up. It
    selects sockets by the scheme of `proxy_url`, so this one has a scheme of its own.
    """

    SCHEMES = ("direct",)

    async def sock_connect(self, net: Any, sock: Any, sockaddr: Any, timeout_at: float | None = None) -> Any:  # noqa: ANN401
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


class _TlsSocket(ssl.SSLSocket):
    """Closes itself if the handshake fails; kafka-python 3.0.12 leaves that to the garbage collector, too."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


class TlsRefusedError(errors.KafkaConnectionError):  # type: ignore[misc] # kafka-python has no types
    """A certificate was refused, the broker's by us or ours by the broker; or that port has no TLS.

    kafka-python takes it for one more broken connection, and retries.
    """

    def __str__(self) -> str:
        return str(self.args[0])


class UnreachableError(errors.KafkaConnectionError):  # type: ignore[misc] # kafka-python has no types
    """Kafka answered at an address that was given, and none of its brokers can be reached where it says that they are.

    kafka-python takes it for one more broken connection, and retries.
    """

    def __str__(self) -> str:
        return str(self.args[0])


_TLS_REFUSED = re.compile(r"\[SSL: \w*(?:ALERT|CERTIFICATE|WRONG_VERSION_NUMBER)\w*\] ([^(]+)")
"""OpenSSL's messages for this, and the part of them for people. A broker that stops causes other messages."""


class Connections(KafkaConnectionManager):  # type: ignore[misc] # kafka-python has no types
    """Records that a broker refused us.

    kafka-python 3.0.12 logs it, retries until its time is up, and then reports only that no broker answered.
    """

    refusal: errors.KafkaError | None = None

    def get_connection(self, node_id: Any, timeout_ms: float | None = None, **more: Any) -> Any:  # noqa: ANN401 - kafka-python has no types
        if self.refusal is not None and not self.bootstrapped:
            raise self.refusal
        if timeout_ms is not None and self.cluster.is_bootstrap(node_id):
            # kafka-python would wait for the first, if that one stands still, until no time is left for the others
            timeout_ms = min(timeout_ms, BOOTSTRAP_MS / len(self.cluster.bootstrap_brokers()))
        connection = super().get_connection(node_id, timeout_ms=timeout_ms, **more)
        connection.init_future.add_both(self._record)
        return connection

    def _record(self, outcome: object) -> None:
        if isinstance(outcome, _LOGIN_REFUSALS):
            self.refusal = outcome
        elif isinstance(outcome, errors.KafkaConnectionError) and (said := _TLS_REFUSED.search(str(outcome))):
            self.refusal = TlsRefusedError(said[1].strip())
        elif not isinstance(outcome, Exception):
            self.refusal = None


class Net(KafkaNetClient):  # type: ignore[misc] # kafka-python has no types
    """The network part of a client, with `Connections`."""

    def __init__(self, **given: Any) -> None:  # noqa: ANN401 - kafka-python has no types
        self.selector = NetworkSelector(**given)
        self.connections = Connections(
            self.selector,
            socket_connection_setup_timeout_ms=FIRST_CONNECT_MS,
            socket_connection_setup_timeout_max_ms=CONNECT_MS,
            **given,
        )
        super().__init__(net=self.selector, manager=self.connections)

    @contextlib.contextmanager
    def naming_unreachable(self) -> Iterator[None]:
        """Name the brokers if Kafka was silent because none can be reached where it says that they are.

        Raises:
            UnreachableError: it is so.
            kafka.errors.KafkaError: what was raised within, otherwise.
        """
        try:
            yield
        except _SILENCES as error:
            named = self.cluster.brokers()
            answered = self.connections.bootstrapped and self.connections.refusal is None
            if not answered or any(self.connected(each.node_id) for each in named):
                raise
            raise UnreachableError(", ".join(sorted(f"{each.host}:{each.port}" for each in named))) from error


@contextlib.contextmanager
def admin_client(settings: KafkaSettings) -> Iterator[Any]:
    """Open an admin client for a while, and raise our own errors in place of its.

    Raises:
        LogError: as in `explained`.
    """
    with explained(settings, "asking about topics"):
        admin, net = open_client(KafkaAdminClient, connection_options(settings))
        try:
            with net.naming_unreachable():
                yield admin
        finally:
            admin.close()


def describe_topics(
    admin: Any,  # noqa: ANN401 - kafka-python has no types
    settings: KafkaSettings,
    topics: Iterable[Topic],
) -> dict[Topic, list[int]]:
    """Return the number of replicas of each partition of those `topics` that exist.

    Raises:
        LogRefusedError: this user may not describe a topic.
        kafka.errors.KafkaError: the brokers could not be asked.
    """
    by_name = {settings.topic_name(topic): topic for topic in topics}
    found = {}
    for description in admin.describe_topics(sorted(by_name)):
        match description["error_code"]:
            case 0:
                partitions = description["partitions"]
                found[by_name[description["name"]]] = [len(one["replica_nodes"]) for one in partitions]
            case code if code == _TOPIC_FORBIDDEN:
                raise LogRefusedError(
                    f"Kafka does not let user {settings.sasl_username!r} see topic {description['name']}: grant it"
                )
            case code if code != _TOPIC_ABSENT:
                raise error_for(code, description["name"])
    return found


def describe_settings(
    admin: Any,  # noqa: ANN401 - kafka-python has no types
    names: Iterable[str],
) -> dict[str, dict[str, str]]:
    """Return the settings in force of each of the topics `names`; empty if this user may not read them.

    Raises:
        kafka.errors.KafkaError: the brokers could not be asked.
    """
    wanted = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    described = admin.describe_configs(wanted, config_filter="all").get("topic", {}) if wanted else {}
    return {name: {key: one["value"] for key, one in found.items()} for name, found in described.items()}


def error_for(code: int, message: str | None) -> errors.KafkaError:
    """Return kafka-python's error for a code in Kafka's answer; `explained` turns it into ours."""
    kind = errors.for_code(code)
    return kind(message or kind.description)


@contextlib.contextmanager
def explained(settings: KafkaSettings, doing: str) -> Iterator[None]:
    """Raise our own errors in place of kafka-python's, with one line that says what is wrong and how to mend it.

    Raises:
        LogRefusedError: wrong user or password, no permission, no such topic, too large a record.
        LogUnavailableError: everything else.
    """
    try:
        yield
    except errors.KafkaError as error:
        raise our_error(settings, doing, error) from error


_REFUSALS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (
        (errors.SaslAuthenticationFailedError,),
        "refused user {user!r}: set the right sasl_username and sasl_password",
    ),
    (
        (errors.UnsupportedSaslMechanismError,),
        "does not know {mechanism}: set the sasl_mechanism that it offers",
    ),
    (
        (TlsRefusedError,),
        "and this process do not agree on TLS ({doing}: {error}): set the right tls_ca, tls_cert and tls_key",
    ),
    (
        (errors.TransactionalIdAuthorizationFailedError,),
        "does not let user {user!r} use transactional ids ({doing}): grant Write and Describe on {prefix}claim-*",
    ),
    (
        (errors.AuthorizationError,),
        "does not let user {user!r} do this ({doing}: {error}): grant it",
    ),
    (
        (errors.UnknownTopicOrPartitionError, errors.InvalidTopicError),
        "has no such topic ({doing}: {error}): run `hotdesk topics create`",
    ),
    (
        (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError),
        "accepts no record of this size ({doing}): `hotdesk topics check` says what to set",
    ),
    (
        (errors.InvalidReplicationFactorError,),
        "has too few brokers ({doing}: {error}): ask for as many copies as there are brokers",
    ),
    (
        (errors.PolicyViolationError, errors.InvalidConfigurationError, errors.InvalidPartitionsError),
        "forbids it ({doing}: {error}): ask the people who run it",
    ),
    (
        (errors.KafkaConfigurationError,),
        "cannot be used with these settings ({doing}): {error}",
    ),
)
"""Errors that a retry does not mend, and how to mend them."""

_LOGIN_REFUSALS = (errors.SaslAuthenticationFailedError, errors.UnsupportedSaslMechanismError)
_SILENCES = (errors.KafkaTimeoutError, errors.KafkaConnectionError, errors.NodeNotReadyError)


def our_error(settings: KafkaSettings, doing: str, error: Exception) -> LogError:
    where = f"Kafka at {', '.join(settings.bootstrap_servers)}"
    if type(error) is errors.KafkaError and errors.ClusterAuthorizationFailedError.__name__ in str(error):
        # the error of a producer whose user may write to no topic at all; kafka-python 3.0.12 wraps it
        error = errors.ClusterAuthorizationFailedError(*error.args)
    for types, sentence in _REFUSALS:
        if isinstance(error, types):
            refusal = sentence.format(
                user=settings.sasl_username,
                mechanism=settings.sasl_mechanism,
                prefix=settings.prefix,
                doing=doing,
                error=error,
            )
            return LogRefusedError(f"{where} {refusal}")
    if isinstance(error, UnreachableError):
        return LogUnavailableError(
            f"{where} answers, and says that its brokers are at {error}, which this machine cannot reach ({doing}): "
            "check the brokers' advertised.listeners, and name service and firewalls on the way there"
        )
    if isinstance(error, _SILENCES):
        return LogUnavailableError(no_answer(settings, doing))
    return LogUnavailableError(f"{where} failed ({doing}): {error}; a retry helps")


def no_answer(settings: KafkaSettings, doing: str) -> str:
    # kafka-python 3.0.12 often misses why a broker closed the connection: the answer comes together with the end,
    # and with TLS 1.3 a client's certificate is refused after the handshake
    login = ", sasl_username and sasl_password" if settings.security_protocol.startswith("SASL") else ""
    login += ", tls_ca, tls_cert and tls_key" if settings.security_protocol.endswith("SSL") else ""
    return (
        f"Kafka at {', '.join(settings.bootstrap_servers)} does not answer ({doing}): check that it is up, and "
        f"that the addresses, security_protocol {settings.security_protocol}{login} are right"
    )


def connection_options(settings: KafkaSettings) -> dict[str, Any]:
    """Return the options that all kafka-python clients share.

    Raises:
        LogRefusedError: a certificate or key cannot be read.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": list(settings.bootstrap_servers),
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "request_timeout_ms": REQUEST_MS,
        "bootstrap_timeout_ms": BOOTSTRAP_MS,
        "reconnect_backoff_max_ms": 1_000,
        "proxy_url": f"{_Socket.SCHEMES[0]}://",
    }
    if settings.security_protocol.startswith("SASL"):
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    if settings.security_protocol.endswith("SSL"):
        # created here, since kafka-python would report much later, and only that it cannot connect
        try:
            context = ssl.create_default_context(cafile=settings.ssl_cafile)
            context.sslsocket_class = _TlsSocket
            if settings.ssl_certfile is not None:
                context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password="")
        except OSError as error:
            raise LogRefusedError(
                f"tls_ca, tls_cert or tls_key cannot be used: {error}; name PEM files that exist, the key without a"
                " password"
            ) from error
        options["ssl_context"] = context
    return options


def open_client(kind: Callable[..., Any], options: Mapping[str, Any], **more: Any) -> tuple[Any, Net]:  # noqa: ANN401
    """Open a client of kafka-python, and return it with its network part.

    Raises:
        kafka.errors.KafkaError: no broker answered within `BOOTSTRAP_MS`, or it refused.
    """
    made: list[Net] = []

    def make_net(**given: Any) -> Net:  # noqa: ANN401 - kafka-python has no types
        made.append(Net(**given))
        return made[0]

    try:
        return kind(kafka_client=make_net, **options, **more), made[0]
    except BaseException:
        # or it would leave its thread and sockets behind
        for net in made:
            net.close()
        raise


def open_consumer(options: Mapping[str, Any], **more: Any) -> tuple[Any, Net]:  # noqa: ANN401
    """Open a consumer that reads only committed records and commits no offsets; return it with its network part.

    Raises:
        kafka.errors.KafkaError: no broker answered within `BOOTSTRAP_MS`, or it refused.
    """
    return open_client(
        KafkaConsumer,
        options,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
        metrics_enabled=False,
        **more,
    )


def close_consumer(consumer: Any) -> None:  # noqa: ANN401 - kafka-python has no types
    with contextlib.suppress(errors.KafkaError):
        consumer.close(autocommit=False, timeout_ms=CONNECT_MS)


def ask_offsets(
    ask: Callable[..., dict[TopicPartition, int]], places: list[TopicPartition], within_ms: int = REQUEST_MS
) -> dict[TopicPartition, int]:
    """Return the first or next offsets of all `places`, within that time.

    Raises:
        kafka.errors.KafkaError: the leader of some partition was not known or did not answer.
    """
    deadline = time.monotonic() + within_ms / 1000
    while True:
        left_ms = (deadline - time.monotonic()) * 1000
        if left_ms <= 0:
            raise errors.KafkaTimeoutError("some partition has no leader")
        try:
            return ask(places, timeout_ms=left_ms)
        except KeyError:
            # kafka-python's way to report that it does not know every leader yet; it is asking for them
            time.sleep(_LEADER_WAIT_SECONDS)
