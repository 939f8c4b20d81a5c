"""Topics on a broker that a whole test run shares: it may take longer to answer than a client waits."""

from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from stream.kafka.settings import KafkaSettings
from stream.kafka.topics import create_topics
from stream.log import LogUnavailableError

PATIENCE_SECONDS = 60.0


@retry(
    retry=retry_if_exception_type(LogUnavailableError),
    stop=stop_after_delay(PATIENCE_SECONDS),
    wait=wait_fixed(0.5),
    reraise=True,
)
def create_topics_patiently(settings: KafkaSettings, replication: int = 1) -> None:
    """Create the topics, and try again while the broker does not answer.

    Raises:
        LogRefusedError: as `create_topics`.
        LogUnavailableError: it has not answered for a minute.
    """
    create_topics(settings, replication)
