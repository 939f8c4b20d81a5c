"""VICIdial's web servers, with its agent API: one that hangs carries out what it was sent when it goes on."""

from collections import defaultdict
from urllib.parse import parse_qs

import httpx

from tests.scenarios.measure import Measure
from tests.simulation.hands import Hands
from tests.simulation.world import LOGOUT, World

GIVEN_UP_SECONDS = 2.0
"""So long hotdesk waits for an answer."""

Form = dict[str, str]


class Webs(httpx.BaseTransport):
    """The way to `http://webN/agc/api.php`."""

    def __init__(self, world: World, measure: Measure) -> None:
        self._world = world
        self._measure = measure
        self._waiting: defaultdict[int, list[Form]] = defaultdict(list)
        """By web server that hangs: what it has been sent."""
        self.slow: dict[int, float] = {}
        """By web server: how long each answer takes."""
        self.hands: Hands | None = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry out a request, at once or later.

        Raises:
            httpx.ReadTimeout: it takes too long.
        """
        world, web = self._world, int(request.url.host.removeprefix("web"))
        form = {key: values[0] for key, values in parse_qs(request.read().decode()).items()}
        if form["function"] == "version":
            return self._tell_version(web, request)
        whom, what = form.get("agent_user") or form["recipient"], form.get("value", "")
        world.note(f"web{web} is sent {form['function']} {what} for {whom}")
        takes = self.slow.get(web, 0.0)
        self._wait(min(takes, GIVEN_UP_SECONDS))
        if web in world.hung_webs or world.locked:
            self._waiting[web].append(form)
            self._wait(GIVEN_UP_SECONDS)
            raise httpx.ReadTimeout("no answer", request=request)
        if takes >= GIVEN_UP_SECONDS:
            world.clock.after(takes, lambda: self._carry_out(form))
            raise httpx.ReadTimeout("no answer", request=request)
        return httpx.Response(200, stream=httpx.ByteStream(self._carry_out(form).encode()))

    def _tell_version(self, web: int, request: httpx.Request) -> httpx.Response:
        """Answer what does nothing: a web server that hangs does not, and forgets it."""
        world, takes = self._world, self.slow.get(web, 0.0)
        if web in world.hung_webs or takes >= GIVEN_UP_SECONDS:
            self._wait(GIVEN_UP_SECONDS)
            raise httpx.ReadTimeout("no answer", request=request)
        self._wait(takes)
        return httpx.Response(200, stream=httpx.ByteStream(b"VERSION: 2.14-47|BUILD: 1"))

    def go_on(self, web: int) -> None:
        """Carry out what has waited."""
        for form in self._waiting.pop(web, []):
            self._carry_out(form)

    def _wait(self, seconds: float) -> None:
        if self.hands is not None:
            self.hands.wait(seconds)

    def _carry_out(self, form: Form) -> str:
        world, function = self._world, form["function"]
        if function == "send_notification":
            return f"SUCCESS: notification queued - {form['recipient']}|USER|1"
        value, user = form["value"], form["agent_user"]
        rows = [each for each in world.rows.values() if each.user == user]
        if not rows:
            return f"ERROR: agent_user is not logged in - {user}"
        for row in rows:
            match function:
                case "logout":
                    if row.external_pause != LOGOUT:
                        self._measure.logged_out(row)
                        row.told_at = world.clock.now
                    row.external_pause = LOGOUT
                case "external_pause":
                    if value == "PAUSE":
                        self._measure.paused.add(user)
                    row.external_pause = f"{value}!{round(world.clock.now)}"
                case "call_agent":
                    world.call_phone(row)
                case "external_hangup":
                    self._measure.hangs_up(row)
                    row.external_hangup = value
                case _:
                    row.external_status = value
        return f"SUCCESS: {function} function set - {value}|{round(world.clock.now)}|{user}"
