"""Assign partitions to the members of a group within one process, as Kafka does among processes."""

import threading


class Group:
    """The partitions of each member. A partition moves on only once its member has returned it: never two at once."""

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
        """Release partitions outside this member's share, assign the free ones within it, and return what it has."""
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
    """A member of a group within this process. One that is never asked keeps its partitions until it is closed."""

    def __init__(self, changed: threading.Condition, group: Group) -> None:
        self._changed = changed
        self._group = group
        self._returned: frozenset[int] = frozenset()

    def owned(self, timeout_seconds: float) -> frozenset[int]:
        """As `Membership.owned`."""

        def changed() -> bool:
            return self._group.settle(self) != self._returned

        with self._changed:
            if self._changed.wait_for(changed, max(timeout_seconds, 0)):
                self._returned = self._group.settle(self)
                self._changed.notify_all()
            return self._returned

    def close(self) -> None:
        """As `Membership.close`."""
        with self._changed:
            self._group.remove(self)
            self._changed.notify_all()
