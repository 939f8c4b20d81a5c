"""The shapes of a message that chat services take by webhook. Pure: names from VICIdial are shown, and never markup."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from controller.core.notifications import Message
from messages.shown import printable

Shape = Callable[[Message, str], dict[str, Any]]
"""Returns the body for a message; the second argument is the chat, for services that want one."""

_UNMENTIONED = "@\N{ZERO WIDTH SPACE}"
"""An @ that calls nobody."""


def facts(message: Message) -> dict[str, str]:
    """Return a message as plain facts, which are the same for every kind of recipient."""
    return {
        "cluster": message.cluster,
        "event": message.event.value,
        "state": "over" if message.over else "begins",
        "severity": message.severity.value,
        "condition": message.condition,
        "title": printable(message.title),
        "text": printable(message.text),
    }


def _slack(message: Message, _: str) -> dict[str, Any]:
    text = "\n".join(_lines(message))
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, instead)
    return {"text": text}


def _mattermost(message: Message, _: str) -> dict[str, Any]:
    title, text = _lines(message)
    return {"text": f"**{title.replace('@', _UNMENTIONED)}**\n{text.replace('@', _UNMENTIONED)}"}


def _teams(message: Message, _: str) -> dict[str, Any]:
    runs = [
        {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line, "weight": weight}]}
        for line, weight in zip(_lines(message), ("Bolder", "Default"), strict=True)
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": runs,
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _telegram(message: Message, chat: str) -> dict[str, Any]:
    return {"chat_id": chat, "text": "\n".join(_lines(message)), "disable_web_page_preview": True}


def _json(message: Message, _: str) -> dict[str, Any]:
    return {"hotdesk": 1, **facts(message)}


def _lines(message: Message) -> tuple[str, str]:
    return printable(message.title), printable(message.text)


SHAPES: Mapping[str, Shape] = {
    "slack": _slack,
    "mattermost": _mattermost,
    "teams": _teams,
    "telegram": _telegram,
    "json": _json,
}
"""By kind of recipient."""


def body_of(kind: str, message: Message, chat: str) -> bytes:
    """Return the body of a webhook's request."""
    return msgspec.json.encode(SHAPES[kind](message, chat))
