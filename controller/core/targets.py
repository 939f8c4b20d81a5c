"""Targets: the alias and the phone that an agent is moved to, or why there is none. Pure."""

from controller.core.claims import resolve, station_of, station_of_session
from controller.core.plan import PlanBuilder
from controller.core.ranking import RankedPhone, rank_phones
from controller.core.state import ClusterState
from messages.names import compared
from messages.records import AgentSession, NotMoved


class Targets:
    """The targets of one plan."""

    def __init__(self, plan: PlanBuilder, ahead: ClusterState) -> None:
        """Choose by `ahead`, the state with the slots of the moves that were planned so far."""
        self._plan = plan
        self._ahead = ahead
        self._aliases_of: dict[str, set[str]] | None = None

    def choose(self, session: AgentSession, *, last_resort: bool) -> tuple[str, RankedPhone] | NotMoved:
        """Choose the alias and the phone an agent is moved to, or return why there is none.

        A target must be better than what is left: nothing may speak against it. Only a dialer that is down is left for
        one of the last resort.
        """
        if session.remote:
            return NotMoved.REMOTE
        alias_id = self._alias_of(session)
        if isinstance(alias_id, NotMoved):
            return alias_id
        logins, worse = resolve(self._ahead.observed, alias_id), False
        for phone in rank_phones(self._ahead, self._plan.policy, logins, session.campaign_id).phones:
            if phone.rank is None or phone.server_ip == session.server_ip:
                continue
            if last_resort or not phone.ineligible_because:
                return alias_id, phone
            worse = True
        return NotMoved.NO_BETTER if worse else NotMoved.NOWHERE

    def _alias_of(self, session: AgentSession) -> str | NotMoved:
        """Return the alias of an agent's login: the recorded one, or else the only alias with that phone.

        A login by a single phone is no reason to stay: whoever knows the user's name can ask for one.
        """
        state = self._plan.state
        login = state.decided.logins.get(session.user.lower())
        if login is not None and login.used_by == session.live_agent_id:
            several = len(resolve(state.observed, login.alias_id)) > 1
            if several or compared(login.alias_id) in state.observed.aliases:
                return login.alias_id
        if compared(session.typed) in state.observed.aliases:
            return session.typed
        found = self._aliases_with(session)
        if len(found) == 1:
            return next(iter(found))
        return NotMoved.AMBIGUOUS if found else NotMoved.NO_ALIAS

    def _aliases_with(self, session: AgentSession) -> set[str]:
        """Return the aliases that list the phone of an agent's session."""
        if self._aliases_of is None:
            self._aliases_of = _aliases_by_phone(self._plan)
        return self._aliases_of.get(station_of_session(session), set())


def _aliases_by_phone(plan: PlanBuilder) -> dict[str, set[str]]:
    observed = plan.state.observed
    found: dict[str, set[str]] = {}
    for alias in observed.aliases.values():
        for login in alias.logins:
            phone = observed.phones.get(compared(login))
            if phone is not None:
                found.setdefault(station_of(phone), set()).add(alias.alias_id)
    return found
