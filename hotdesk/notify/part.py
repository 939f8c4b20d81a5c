"""Role control: recipients outside are told what stands in the clusters that this process owns.

What is due is decided on the event loop, once a second (`controller.core.notifications`). Each recipient has a thread
that sends, one message after the other: one that hangs holds up no other recipient, no decision and no login.
"""

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from queue import Empty, SimpleQueue

import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_when_event_set, wait_exponential

from controller.core.cluster import Cluster
from controller.core.clusters import Clusters
from controller.core.notifications import Announcer, Message, Recipient, conditions
from controller.runtime.metrics import ControllerInstruments
from hotdesk.notify.senders import SendError, Told
from hotdesk.part import Part, Shared
from hotdesk.wanted import Wanted
from messages.records import Notification
from stream.entries import end_of_notification, entry_of

LOOK_SECONDS = 1.0
"""Time from one look at what is due to the next."""
TRIES = 4
"""Tries to send a message, over about a quarter of a minute; what failed is due again after a minute, if it stands."""
FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 2.0, 8.0
WAITING_AT_MOST = 100
"""Messages that wait for one recipient; further ones stay due."""

log = structlog.get_logger()


class Notifying(Part):
    """Tells recipients, for the clusters that this process owns."""

    def __init__(self, wanted: Wanted, shared: Shared, clusters: Clusters, instruments: ControllerInstruments) -> None:
        self._wanted = wanted
        self._shared = shared
        self._clusters = clusters
        self._instruments = instruments
        self._announcers: dict[str, Announcer] = {}
        """By cluster that is owned; on the event loop."""
        self._recipients: tuple[Recipient, ...] = ()
        self._mailboxes: Mapping[str, _Mailbox] = {}
        """By recipient. Made anew each time, never changed."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again, name="notifying", daemon=True)

    def start(self) -> None:
        """Begin."""
        self.apply(self._wanted)
        self._thread.start()

    def apply(self, wanted: Wanted) -> None:
        """Send to these recipients from now on, and no others; whose settings are as they were goes on undisturbed."""
        before = self._mailboxes
        kept = {
            name: before[name] for name, told in wanted.told.items() if name in before and before[name].told == told
        }
        for name in before.keys() - kept.keys():
            before[name].stop()
        self._mailboxes = {
            name: kept.get(name) or _Mailbox(told, self._may_send, self._report) for name, told in wanted.told.items()
        }
        gauge = self._instruments.notifications_waiting
        for name in before.keys() - self._mailboxes.keys():
            gauge.remove(name)
        for name, mailbox in self._mailboxes.items():
            gauge.labels(name).set_function(mailbox.waiting)
        self._recipients = tuple(told.recipient for told in wanted.told.values())

    def stop(self) -> None:
        """Ask all threads to end: what was not sent is for the next owner."""
        self._stop.set()
        for mailbox in self._mailboxes.values():
            mailbox.stop()

    def join(self, deadline: float) -> None:
        """Wait for the thread that looks; one that sends may hang, and is left alone."""
        if self._thread.is_alive():
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _look_again_and_again(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            if self._shared.loop.is_running():
                self._shared.loop.call_soon_threadsafe(self._look)

    def _may_send(self, message: Message) -> bool:
        """Return True if this process owns the cluster, and what the message says stands still. From any thread."""
        cluster, announcer = self._clusters.by_name.get(message.cluster), self._announcers.get(message.cluster)
        return cluster is not None and cluster.owned and announcer is not None and announcer.is_due(message)

    # --- on the event loop ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        owned = {name: cluster for name, cluster in self._clusters.by_name.items() if cluster.owned}
        self._announcers = {name: self._announcers.get(name) or Announcer() for name in owned}
        for name, cluster in owned.items():
            try:
                self._announce(cluster, self._announcers[name])
            except Exception:  # an oddity of one cluster must not silence all
                log.exception("it could not be decided what is told outside", cluster=name)

    def _announce(self, cluster: Cluster, announcer: Announcer) -> None:
        now = time.monotonic()
        standing = conditions(cluster.state, owner=self._shared.name, stale=cluster.stale(now))
        messages, ended = announcer.due(cluster.state, standing, self._recipients, now, acts=cluster.acts)
        for message in messages:
            mailbox = self._mailboxes.get(message.recipient)
            if mailbox is not None and mailbox.put(message):
                announcer.on_its_way(message)
        for record in ended:
            self._end(cluster, record)

    def _report(self, message: Message, error: str | None) -> None:
        """Hand over the outcome of a message, as `_Mailbox` has it. From the thread that sent it."""
        if self._shared.loop.is_running():
            self._shared.loop.call_soon_threadsafe(partial(self._record, message, error))

    def _record(self, message: Message, error: str | None) -> None:
        cluster, announcer = self._clusters.by_name.get(message.cluster), self._announcers.get(message.cluster)
        if error is None:
            if announcer is not None:
                announcer.dropped(message)
            return
        self._instruments.notifications.labels(message.recipient, "failed" if error else "sent").inc()
        facts = {"cluster": message.cluster, "recipient": message.recipient, "about": message.event.value}
        if error:
            log.warning("a notification could not be sent", **facts, why=error)
            if announcer is not None:
                announcer.failed(message, time.monotonic())
            return
        log.info("a notification was sent", **facts, over=message.over)
        if announcer is not None:
            announcer.sent(message)
        if cluster is None:
            return
        record = Notification(
            cluster=message.cluster,
            recipient=message.recipient,
            condition=message.condition,
            value=message.value,
            words=message.text,
            sent_at_ms=time.time_ns() // 1_000_000,
            by=self._shared.name,
        )
        if message.over:
            self._end(cluster, record)
        else:
            cluster.state.decided.keep(record)
            self._shared.outbox.put([entry_of(record)])

    def _end(self, cluster: Cluster, record: Notification) -> None:
        cluster.state.decided.notifications.pop(record.name, None)
        self._shared.outbox.put([end_of_notification(record, self._shared.name)])


class _NotDueError(Exception):
    """A message need not be sent any more: what it says is over, or another process owns the cluster."""


class _Mailbox:
    """The messages that wait for one recipient, and the thread that sends them."""

    def __init__(
        self, told: Told, may_send: Callable[[Message], bool], report: Callable[[Message, str | None], None]
    ) -> None:
        self.told = told
        self._may_send = may_send
        self._report = report
        self._waiting: SimpleQueue[Message] = SimpleQueue()
        self._stop = threading.Event()
        self._guard = threading.Lock()
        name = told.recipient.name
        self._thread = threading.Thread(target=self._work, name=f"notify-{name}", daemon=True)
        self._thread.start()

    def waiting(self) -> int:
        """Return how many messages wait, without the one that is being sent. From any thread."""
        return self._waiting.qsize()

    def put(self, message: Message) -> bool:
        """Queue a message; return False if too many wait, or none is sent any more."""
        with self._guard:
            if self._stop.is_set() or self._waiting.qsize() >= WAITING_AT_MOST:
                return False
            self._waiting.put(message)
            return True

    def stop(self) -> None:
        """Ask the thread to end after the present try."""
        with self._guard:
            self._stop.set()

    def _try(self, message: Message) -> None:
        if not self._may_send(message):
            raise _NotDueError
        self.told.send(message)

    def _pause(self, seconds: float) -> None:
        self._stop.wait(seconds)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                message = self._waiting.get(timeout=LOOK_SECONDS)
            except Empty:
                continue
            self._report(message, self._sent(message))
        while not self._waiting.empty():
            self._report(self._waiting.get(), "its settings have changed")

    def _sent(self, message: Message) -> str | None:
        """Send a message; return why it could not be sent, "" if it was, None if it need not be any more."""
        again = Retrying(
            stop=stop_after_attempt(TRIES) | stop_when_event_set(self._stop),
            wait=wait_exponential(multiplier=FIRST_PAUSE_SECONDS, max=MOST_PAUSE_SECONDS),
            retry=retry_if_exception_type(SendError),
            sleep=self._pause,
            reraise=True,
        )
        try:
            again(self._try, message)
        except SendError as error:
            return str(error)
        except _NotDueError:
            return None
        except Exception:  # this thread must not end while the process runs
            log.exception("sending a notification failed", recipient=self.told.recipient.name)
            return "a fault of hotdesk's own"
        return ""
