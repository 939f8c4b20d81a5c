"""The catalogue: phones, aliases, campaigns and settings, which change rarely. Pure: rows in, what has changed out."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from collectors.probes.phone_lists import NONE_KNOWN, Registered
from collectors.vicidial import rows
from collectors.vicidial.rows import AliasRow, CampaignRow, DialerRow, OddRows, PhoneRow, Row, SettingsRow
from messages.keys import KIND_ALIAS, KIND_CAMPAIGN, KIND_PHONE
from messages.records import Campaign, Phone, PhoneAlias, ServerIp, Stamped, SystemSettings

KIND_SETTINGS = "settings"
_WEIGHTS = "weights"
_PARTS = (KIND_PHONE, KIND_ALIAS, KIND_CAMPAIGN, KIND_SETTINGS, _WEIGHTS)

CatalogueRow = PhoneRow | AliasRow | CampaignRow | SettingsRow
Place = tuple[str, str]
"""Kind and name of a row, as it is compared."""


class CatalogueRows(NamedTuple):
    """Rows that change rarely. A part that is None has not changed since it was last read, or was not read."""

    phones: Iterable[Row] | None
    aliases: Iterable[Row] | None
    campaigns: Iterable[Row] | None
    settings: Iterable[Row] | None
    weights: Iterable[Row] | None
    missing_columns: tuple[str, ...]
    secrets: Iterable[Row] | None = None
    """Read together with the phones; None also if this account may not read them."""


class Catalogue:
    """The catalogue of one epoch."""

    def __init__(self) -> None:
        self.rows: dict[Place, CatalogueRow] = {}
        self._unread = set(_PARTS)
        """The parts that this epoch has not read yet."""
        self._settings: Iterable[Row] = ()
        self._weights: Iterable[Row] = ()
        self.odd: dict[str, OddRows] = {}
        """By kind: the odd rows of the last reading."""
        self.unwritten: frozenset[ServerIp] = frozenset()
        """Dialers for which the table does not have the registration of phones."""
        self._phones_read: dict[str, PhoneRow] = {}
        self._registered: Registered = NONE_KNOWN
        self._phones: dict[str, PhoneRow] = {}
        """As read, with the dialers' own answers filled in."""
        self._marks: Mapping[str, rows.Marks] | None = None
        """Marks of the phones' secrets; None: this account may not read them."""
        self._shared_logins: frozenset[str] = frozenset()

    @property
    def is_complete(self) -> bool:
        """True once every part was read."""
        return not self._unread

    def names(self) -> dict[Place, str]:
        """Return all rows, each with its name."""
        return {place: _name_of(row) for place, row in self.rows.items()}

    def update(self, read: CatalogueRows, dialers: dict[ServerIp, DialerRow]) -> dict[Place, str]:
        """Update it by what was read; return the rows that have changed or ended, each with its name."""
        if read.phones is None and KIND_PHONE in self._unread:
            # they would all be published as lists of phones that there are not
            read = read._replace(aliases=None)
        known = self.rows
        catalogue: dict[Place, CatalogueRow] = {}
        parts = (read.phones, read.aliases, read.campaigns, read.settings, read.weights)
        self._unread -= {kind for kind, part in zip(_PARTS, parts, strict=True) if part is not None}
        if read.phones is not None:
            self.odd[KIND_PHONE] = odd = OddRows()
            phones = list(read.phones)
            self._phones_read = rows.phones(phones, dialers, odd)
            self.unwritten = rows.unwritten(self._phones_read.values())
            self._shared_logins = rows.shared_logins(phones)
            self._marks = None if read.secrets is None else rows.marks(read.secrets)
            self._phones = rows.with_registrations(self._phones_read, self._registered)
        catalogue |= {(KIND_PHONE, name): phone for name, phone in self._phones.items()}
        if read.aliases is None:
            catalogue |= {key: row for key, row in known.items() if key[0] == KIND_ALIAS}
        else:
            self.odd[KIND_ALIAS] = odd = OddRows()
            aliases = rows.aliases(read.aliases, self._phones, odd, self._marks or rows.NO_MARKS, self._shared_logins)
            catalogue |= {(KIND_ALIAS, name): alias for name, alias in aliases.items()}
        if read.campaigns is None:
            catalogue |= {key: row for key, row in known.items() if key[0] == KIND_CAMPAIGN}
        else:
            self.odd[KIND_CAMPAIGN] = odd = OddRows()
            campaigns = rows.campaigns(read.campaigns, odd)
            catalogue |= {(KIND_CAMPAIGN, name): campaign for name, campaign in campaigns.items()}
        self._settings = self._settings if read.settings is None else list(read.settings)
        self._weights = self._weights if read.weights is None else list(read.weights)
        if not self._unread & {KIND_SETTINGS, _WEIGHTS}:
            self.odd[KIND_SETTINGS] = odd = OddRows()
            catalogue[KIND_SETTINGS, ""] = rows.settings(
                self._settings, self._weights, read.missing_columns, odd, secrets_compared=self._marks is not None
            )
        changed = {}
        # The parts that others need go first: settings and campaigns, then phones and aliases.
        for key in sorted(catalogue.keys() | known.keys(), key=_urgency):
            before, now = known.get(key), catalogue.get(key)
            if before != now:
                changed[key] = _name_of(now or before)
        self.rows = catalogue
        return changed

    def update_registrations(self, registered: Registered) -> dict[Place, str]:
        """Update the registrations at once, since an agent may be waiting for the phone to come back.

        Returns:
            The rows that have changed, each with its name.
        """
        if registered == self._registered:
            return {}
        self._registered = registered
        self._phones = rows.with_registrations(self._phones_read, registered)
        changed = {
            (KIND_PHONE, name): row for name, row in self._phones.items() if self.rows.get((KIND_PHONE, name)) != row
        }
        self.rows |= changed
        return {key: _name_of(row) for key, row in changed.items()}


_URGENCY = {KIND_SETTINGS: 0, KIND_CAMPAIGN: 1, KIND_PHONE: 2, KIND_ALIAS: 3}


def _urgency(key: Place) -> tuple[int, str]:
    return _URGENCY[key[0]], key[1]


def _name_of(row: CatalogueRow | None) -> str:
    match row:
        case PhoneRow():
            return row.login
        case AliasRow():
            return row.alias_id
        case CampaignRow():
            return row.campaign_id
        case _:
            return ""


def record_of(row: CatalogueRow, cluster: str, epoch: int, sequence: int) -> Stamped:
    """Return the record of a row."""
    match row:
        case PhoneRow():
            return Phone(cluster=cluster, epoch=epoch, sequence=sequence, **row._asdict())
        case AliasRow():
            return PhoneAlias(cluster=cluster, epoch=epoch, sequence=sequence, **row._asdict())
        case CampaignRow():
            return Campaign(cluster=cluster, epoch=epoch, sequence=sequence, **row._asdict())
        case SettingsRow():
            return SystemSettings(
                cluster=cluster,
                epoch=epoch,
                sequence=sequence,
                grouping_limit=row.grouping_limit,
                agent_logout_link=row.agent_logout_link,
                weights=dict(row.weights),
                missing_columns=row.missing_columns,
                secrets_compared=row.secrets_compared,
            )
