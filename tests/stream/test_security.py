"""Kafka with TLS, certificates, SCRAM and least privilege: who comes in, what each role may do, and what is said."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from messages.topics import RETENTION, Topic, partition_of
from simulator.broker import HOST, Broker, Certificates
from stream.kafka.acls import READ, WRITTEN, Need, User, commands, needs
from stream.kafka.client import admin_client
from stream.kafka.log import KafkaLog
from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import check_topics, create_topics
from stream.log import Entry, LogError, LogRefusedError
from tests.support.kafka_home import KAFKA_HOME
from tests.support.processes import until

PARTITIONS = 4
WEST = partition_of("west", PARTITIONS)
PASSWORD = "a-password-that-is-never-shown"
ROLES = (User.COLLECT, User.CONTROL, User.SERVE)


class Strict:
    """A broker that lets nobody in unknown, and the certificates of those it knows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.authority = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.authority))
        served = folder / "broker.pem"
        certificate = self._authority.issue_cert(HOST)
        key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
        served.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        for each in certificate.cert_chain_pems:
            each.write_to_path(str(served), append=True)
        self.home = KAFKA_HOME
        self.broker = Broker(self.home, folder / "kafka", Certificates(self.authority, served))

    @property
    def open_settings(self) -> KafkaSettings:
        """Come in as who may do everything, to topics that nobody else uses."""
        return KafkaSettings(
            bootstrap_servers=(self.broker.bootstrap,), partitions=PARTITIONS, prefix=f"s{uuid4().hex[:8]}."
        )

    def by_certificate(self, user: str, like: KafkaSettings, issuer: trustme.CA | None = None) -> KafkaSettings:
        """Come in by a certificate of a user's own."""
        certificate = (issuer or self._authority).issue_cert(f"{user}.example", common_name=user)
        cert, key = self._folder / f"{user}.crt", self._folder / f"{user}.key"
        certificate.cert_chain_pems[0].write_to_path(str(cert))
        certificate.private_key_pem.write_to_path(str(key))
        return msgspec.structs.replace(
            like,
            bootstrap_servers=(self.broker.mtls_bootstrap,),
            security_protocol="SSL",
            ssl_cafile=str(self.authority),
            ssl_certfile=str(cert),
            ssl_keyfile=str(key),
        )

    def by_password(self, user: str, password: str, like: KafkaSettings) -> KafkaSettings:
        """Come in by SCRAM."""
        return msgspec.structs.replace(
            like,
            bootstrap_servers=(self.broker.scram_bootstrap,),
            security_protocol="SASL_SSL",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username=user,
            sasl_password=password,
            ssl_cafile=str(self.authority),
        )


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Strict]:
    """Yield the broker."""
    made = Strict(tmp_path_factory.mktemp("strict"))
    with made.broker:
        yield made


@pytest.fixture
def topics(strict: Strict) -> KafkaSettings:
    """Return topics of one's own, as who may do everything."""
    settings = strict.open_settings
    create_topics(settings, replication=1)
    return settings


KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}
OPERATIONS = {
    "Read": ACLOperation.READ,
    "Write": ACLOperation.WRITE,
    "Describe": ACLOperation.DESCRIBE,
    "Create": ACLOperation.CREATE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}


def grant(settings: KafkaSettings, user: User) -> None:
    """Let a user do what it needs, and see that the broker knows."""

    def acl(need: Need, operation: str) -> ACL:
        pattern = ACLResourcePatternType.PREFIXED if need.prefixed else ACLResourcePatternType.LITERAL
        resource = ResourcePattern(KINDS[need.resource], need.name, pattern)
        return ACL(f"User:{user}", "*", OPERATIONS[operation], ACLPermissionType.ALLOW, resource)

    with admin_client(settings) as admin:
        acls = [acl(need, operation) for need in needs(user, settings) for operation in need.operations]
        assert not admin.create_acls(acls)["failed"]


def allowed(log: KafkaLog, topic: Topic) -> bool:
    """Return True if a record can be stored."""
    try:
        log.append([Entry(topic, "west", b"1")])
    except LogRefusedError:
        return False
    return True


@pytest.mark.parametrize("user", ROLES)
def test_what_a_role_is_granted_is_enough_and_no_more(strict: Strict, topics: KafkaSettings, user: User) -> None:
    grant(topics, user)
    with KafkaLog(strict.by_certificate(user, topics)) as log:
        until(lambda: allowed(log, WRITTEN[user][0]), "the broker knows what was granted")
        assert [topic for topic in Topic if allowed(log, topic)] == list(WRITTEN[user])
        with closing(log.tail(READ[user], [WEST], from_start=True)) as tail:
            seen = until(lambda: [one.topic for one in tail.poll(0.2)], "what stands there is read")
            assert set(seen) <= set(WRITTEN[user])
        for topic in set(Topic) - set(READ[user]):
            with pytest.raises(LogError, match="grant"):
                log.read(topic, WEST, 0)
        if user is User.CONTROL:
            with closing(log.join("hotdesk-controllers")) as member, closing(log.claim(WEST)) as claim:
                until(lambda: member.owned(0.2) == frozenset(range(PARTITIONS)), "it owns")
                claim.append([Entry(Topic.RELOGINS, "west/session/1", b"1")])
        else:
            with pytest.raises(LogRefusedError, match="grant"):
                log.claim(WEST)


def test_who_sets_topics_up_may_write_nothing(strict: Strict) -> None:
    settings = strict.open_settings
    grant(settings, User.SETUP)
    setup = strict.by_certificate(User.SETUP, settings)

    def created() -> bool:
        try:
            create_topics(setup, replication=1)
        except LogRefusedError:
            return False
        return True

    until(created, "the broker knows what was granted")
    assert check_topics(setup) == []
    with KafkaLog(setup) as log:
        assert [topic for topic in Topic if allowed(log, topic)] == []


def test_what_is_printed_names_tool_principal_operations_and_resource() -> None:
    settings = KafkaSettings(bootstrap_servers=("k1:9092", "k2:9092"))
    *_, line = commands(User.CONTROL, settings, "User:CN=a b", "our.properties")
    assert line == (
        "kafka-acls.sh --bootstrap-server k1:9092,k2:9092 --command-config our.properties --add"
        " --allow-principal 'User:CN=a b'"
        " --operation Write --operation Describe --transactional-id hotdesk.claim- --resource-pattern-type prefixed"
    )


def test_by_scram_the_right_password_comes_in_and_a_wrong_one_is_said(strict: Strict, topics: KafkaSettings) -> None:
    with admin_client(topics) as admin:
        user = UserScramCredentialUpsertion("scram", ScramMechanism.SCRAM_SHA_512, PASSWORD, iterations=4096)
        admin.alter_user_scram_credentials([user])
        resource = ResourcePattern(ResourceType.TOPIC, topics.prefix, ACLResourcePatternType.PREFIXED)
        admin.create_acls([ACL("User:scram", "*", ACLOperation.ALL, ACLPermissionType.ALLOW, resource)])

    def comes_in() -> bool:
        with KafkaLog(strict.by_password("scram", PASSWORD, topics)) as log:
            try:
                return allowed(log, Topic.OBSERVATIONS)
            except LogError:
                return False

    until(comes_in, "the broker knows the user", 40)
    wrong = "another-password-that-is-never-shown"
    with KafkaLog(strict.by_password("scram", wrong, topics)) as log, pytest.raises(LogError) as refused:
        log.append([Entry(Topic.OBSERVATIONS, "west", b"1")])
    assert "sasl_password" in str(refused.value)
    assert wrong not in f"{refused.value!r}{refused.value.__cause__!r}"


def test_whom_one_side_does_not_know_does_not_come_in(strict: Strict, topics: KafkaSettings, tmp_path: Path) -> None:
    stranger = strict.by_certificate("stranger", topics, issuer=trustme.CA())
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    wrong = {
        "no certificate": msgspec.structs.replace(stranger, ssl_certfile=None, ssl_keyfile=None),
        "a certificate of another authority": stranger,
        "a broker of another authority": msgspec.structs.replace(
            strict.by_certificate("known", topics), ssl_cafile=str(tmp_path / "other.pem")
        ),
    }

    def refusal(settings: KafkaSettings) -> str:
        with KafkaLog(settings) as log, pytest.raises(LogError) as refused:
            log.append([Entry(Topic.OBSERVATIONS, "west", b"1")])
        return str(refused.value)

    # each is tried for five seconds
    with ThreadPoolExecutor() as pool:
        said = dict(zip(wrong, pool.map(refusal, wrong.values()), strict=True))
    for who, line in said.items():
        assert "tls_ca, tls_cert and tls_key" in line, who
        assert "\n" not in line, who


def test_every_topic_is_somebodys() -> None:
    assert {topic for user in ROLES for topic in WRITTEN[user]} == set(RETENTION)
