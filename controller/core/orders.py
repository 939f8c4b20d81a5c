"""The standing orders of a cluster: those that people gave and have not taken back."""

from dataclasses import dataclass, field

from messages.keys import key_of
from messages.records import Acknowledge, AnyOrder, Drain, Move, Pause, ServerIp, Unbrake, Unfence
from messages.topics import Key


@dataclass
class Orders:
    """The standing orders of one cluster. They change in place, as the state does."""

    pause: Pause | None = None
    drains: dict[ServerIp, Drain] = field(default_factory=dict)
    acknowledged: dict[str, Acknowledge] = field(default_factory=dict)
    """By incident."""
    moves: dict[str, Move] = field(default_factory=dict)
    """By user, in lower case."""
    unbrake: Unbrake | None = None
    unfences: dict[ServerIp, Unfence] = field(default_factory=dict)

    @property
    def standing(self) -> dict[Key, AnyOrder]:
        """All orders that stand, by their keys."""
        single = (each for each in (self.pause, self.unbrake) if each is not None)
        several = (self.drains, self.acknowledged, self.moves, self.unfences)
        return {key_of(each): each for each in (*single, *(order for kind in several for order in kind.values()))}

    def add(self, order: AnyOrder) -> None:
        """Add an order."""
        match order:
            case Pause():
                self.pause = order
            case Drain():
                self.drains[order.server_ip] = order
            case Acknowledge():
                self.acknowledged[order.incident] = order
            case Move():
                self.moves[order.user.lower()] = order
            case Unbrake():
                self.unbrake = order
            case Unfence():
                self.unfences[order.server_ip] = order
            case _:
                pass  # Resynchronise is for the collector

    def remove(self, key: Key) -> None:
        """Remove an order, by the key of its tombstone."""
        match key.kind:
            case "pause":
                self.pause = None
            case "drain":
                self.drains.pop(key.name, None)
            case "acknowledge":
                self.acknowledged.pop(key.name, None)
            case "move":
                self.moves.pop(key.name.lower(), None)
            case "unbrake":
                self.unbrake = None
            case "unfence":
                self.unfences.pop(key.name, None)
            case _:
                pass
