"""Sharing partitions out among the members of a group within one process, as Kafka does among processes."""

import threading


class Group:
    """Who holds which partition. A partition changes hands only after its holder was told: never two at once."""

    def __init__(self, partitions: int) -> None:
        self._partitions = partitions
        self._members: list[EmbeddedMembership] = []
        self._holders: dict[int, EmbeddedMembership] = {}

    def add(self, member: "EmbeddedMembership") -> None:
        self._members.append(member)

    def remove(self, member: "EmbeddedMembership") -> None:
        if member in self._members:
            self._members.remove(member)
        self._holders = {one: holder for one, holder in self._holders.items() if holder is not member}

    def settle(self, member: "EmbeddedMembership") -> frozenset[int]:
        """Give up what is no longer this member's share, take what is and lies free, and tell what it holds."""
        if member not in self._members:
            return frozenset()
        share = range(self._members.index(member), self._partitions, len(self._members))
        for one in range(self._partitions):
            holder = self._holders.get(one)
            if one in share and holder is None:
                self._holders[one] = member
            elif one not in share and holder is member:
                del self._holders[one]
        return frozenset(one for one, holder in self._holders.items() if holder is member)


class EmbeddedMembership:
    """A member of a group within this process. One that is never asked keeps what it holds until it is closed."""

    def __init__(self, news: threading.Condition, group: Group) -> None:
        self._news = news
        self._group = group
        self._told: frozenset[int] = frozenset()

    def owned(self, timeout_seconds: float) -> frozenset[int]:
        """As `Membership.owned`."""

        def changed() -> bool:
            return self._group.settle(self) != self._told

        with self._news:
            if self._news.wait_for(changed, max(timeout_seconds, 0)):
                self._told = self._group.settle(self)
                self._news.notify_all()
            return self._told

    def close(self) -> None:
        """As `Membership.close`."""
        with self._news:
            self._group.remove(self)
            self._news.notify_all()
