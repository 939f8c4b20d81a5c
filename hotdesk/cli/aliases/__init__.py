"""`hotdesk aliases`: the phones and aliases of all desks, planned, made, written for softphones, and verified."""

from hotdesk.cli.aliases.applied import apply
from hotdesk.cli.aliases.handed_out import phones
from hotdesk.cli.aliases.planned import plan
from hotdesk.cli.aliases.verified import verify

__all__ = ["apply", "phones", "plan", "verify"]
