"""The orders of the status page's buttons, and what each asks before it is given."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from litestar.exceptions import HTTPException

from controller.api.auth import Client
from controller.api.order_previews import Previewed
from controller.api.orders import Orderer
from controller.api.schemas import AcknowledgeBody, OrderAnswer, OrderBody

SILENCES = (0, 15, 60, 240)
"""Minutes for which an acknowledgement may silence alarms."""

QUESTIONS = {
    Previewed.PAUSE: "Suspend automatic moves in {cluster}?",
    Previewed.RESUME: "Resume automatic moves in {cluster}?",
    Previewed.DRAIN: "Drain {subject}?",
    Previewed.UNDRAIN: "Have {subject} take logins again?",
    Previewed.MOVE: "Move {subject}?",
    Previewed.UNBRAKE: "Release the fleet brake of {cluster}?",
    Previewed.UNFENCE: "Open {subject} to logins again?",
}

ENDS = {"resume": "pause", "undrain": "drain"}
"""Buttons that take an order back, and its kind."""


class Button(NamedTuple):
    """A button that was pressed: the order, its subject, and the rest of the form."""

    order: str
    subject: str
    form: Mapping[str, str]

    @property
    def why(self) -> str:
        """The reason that was typed."""
        return self.form.get("why", "")[:500]

    @property
    def asks(self) -> Previewed | None:
        """The order to ask about first; None: it is given at once, or the visitor is sure."""
        return None if self.form.get("sure") or self.order not in list(Previewed) else Previewed(self.order)


def button_of(form: Mapping[str, str]) -> Button:
    """Return the button of a form, whose value is the order and its subject."""
    order, _, subject = form.get("order", "").partition(" ")
    return Button(order, subject or (form.get("user", "").strip() if order == "move" else ""), form)


async def give(orders: Orderer, cluster: str, button: Button, by: str, client: Client) -> OrderAnswer:
    """Send the order of a button.

    Raises:
        HTTPException: there is no such order.
        ProblemDetailsException: it makes no sense, or is not stored.
    """
    body = OrderBody(by=by, why=button.why)
    of_cluster = {"pause": orders.pause, "unbrake": orders.unbrake}
    of_subject = {"drain": orders.drain, "unfence": orders.unfence, "move": orders.move}
    if button.order in of_cluster:
        return await of_cluster[button.order](cluster, body, client)
    if button.order in of_subject:
        return await of_subject[button.order](cluster, button.subject, body, client)
    if button.order in ENDS:
        return await orders.take_back(cluster, ENDS[button.order], button.subject, body, client)
    if button.order != "acknowledge":
        raise HTTPException(f"there is no order {button.order[:40]!r}", status_code=HTTPStatus.BAD_REQUEST)
    minutes = button.form.get("silence", "0")
    silence = int(minutes) if minutes in map(str, SILENCES) else 0
    acknowledgement = AcknowledgeBody(by=body.by, why=body.why, silence_minutes=silence)
    return await orders.acknowledge(cluster, button.subject, acknowledgement, client)
