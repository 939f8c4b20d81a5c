"""The status page over HTTP: pages to look at, news for those that are open, and forms to order something."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Request, Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.types import ASGIApp

from controller.answers import AcknowledgeBody, OrderBody
from controller.api import known
from controller.browsers import why_foreign, why_rebound
from controller.desk import Desk
from controller.explaining import Explanation, agents_words, clock, explain, sentence_about
from controller.ordering import Orderer, incidents_of
from controller.page.contents import ClusterPage, cluster_page
from controller.page.live import Live, Watched
from controller.page.visitors import COOKIE, SIGNED_IN_SECONDS, Visitor, Visitors
from controller.tokens import Scope, Tokens

AnyRequest = Request[Any, Any, Any]
AnyConnection = ASGIConnection[Any, Any, Any, Any]

HEADERS = {
    # nothing but what comes from here, and no script that stands in a page
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SILENCES = (0, 15, 60, 240)
"""Minutes of silence that an acknowledgement may ask for."""
STATIC = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class _SignInNeeded(HTTPException):
    """Nobody is shown this who has not signed in."""

    status_code = HTTPStatus.UNAUTHORIZED


class StatusPage:
    """The pages, and who may see them."""

    def __init__(self, desk: Desk, orderer: Orderer, tokens: Tokens, version: str) -> None:
        self.desk = desk
        self._orderer = orderer
        self._version = version
        self._visitors = Visitors(tokens)
        self._templates = Environment(
            loader=PackageLoader("controller.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"clock": clock, "agents": agents_words}
        self._templates.globals |= {"version": version, "silences": SILENCES}
        self._live_part = self._templates.get_template("live.html")
        self.live = Live(self._contents, lambda watched, page: self._live_part.render(page=page, orders=watched.orders))

    # --- who --------------------------------------------------------------------------------------------------

    def visitor(self, connection: AnyConnection) -> Visitor:
        """Tell who asks.

        Raises:
            HTTPException: nobody who may look, or a page of another site that makes a browser ask.
        """
        if not self._visitors.sign_in and (why := why_rebound(connection.headers)):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        found = self._visitors.visitor(connection.cookies.get(COOKIE, ""), _address(connection), time.time())
        if found is None:
            raise _SignInNeeded
        return found

    def ordering_visitor(self, request: AnyRequest, form: Mapping[str, str]) -> Visitor:
        """Tell who orders something.

        Raises:
            HTTPException: somebody who may not, or who does not know that they do.
        """
        found = self.visitor(request)
        if found.scope < Scope.ADMIN:
            raise HTTPException("this needs a token of scope 'admin': sign in with one", status_code=403)
        if why := why_foreign(request.headers):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        if form.get("mark") != found.mark:
            raise HTTPException("this form is from before: load the page anew, and order again", status_code=403)
        return found

    # --- what -------------------------------------------------------------------------------------------------

    def overview(self, visitor: Visitor) -> Response[str]:
        """Show all clusters."""
        now = time.monotonic()
        found = []
        for name, view in sorted(self.desk.clusters.items()):
            page = self._page(name)
            agents = sum(each.agents for each in page.dialers)
            sentence = sentence_about(view.state, stale=view.stale(now))
            found.append({"name": name, "tone": page.tone, "sentence": sentence, "agents": agents, "page": page})
        return self.shown("overview.html", visitor=visitor, clusters=found)

    def cluster(self, cluster: str, visitor: Visitor, asked: str, said: str) -> Response[str]:
        """Show one cluster, and the answer to a question about it."""
        view = known(self.desk, cluster)
        explained: list[Explanation] = []
        if asked:
            explained = explain(view.state, view.policy, view.decisions, asked)
        orders = visitor.scope >= Scope.ADMIN
        return self.shown(
            "cluster.html",
            visitor=visitor,
            page=self._page(cluster),
            orders=orders,
            asked=asked,
            explained=explained,
            said=SAID.get(said, ""),
            several=len(self.desk.clusters) > 1,
        )

    def shown(self, template: str, status: int = 200, **values: object) -> Response[str]:
        """Render a page."""
        values = {"visitor": None, "sign_in": self._visitors.sign_in, "now_ms": time.time_ns() // 1_000_000} | values
        html = self._templates.get_template(template).render(values)
        return Response(html, media_type=MediaType.HTML, headers=HEADERS, status_code=status)

    def _page(self, cluster: str) -> ClusterPage:
        view = known(self.desk, cluster)
        return cluster_page(
            view.state,
            self.desk.snapshot(view),
            incidents_of(view),
            view.decisions,
            stale=view.stale(time.monotonic()),
            acts=view.policy.acts,
        )

    def _contents(self, watched: Watched) -> ClusterPage | None:
        return self._page(watched.cluster) if watched.cluster in self.desk.clusters else None

    # --- signing in -------------------------------------------------------------------------------------------

    def signed_in(self, request: AnyRequest, form: Mapping[str, str]) -> Response[str]:
        """Let somebody in who knows a token."""
        if why := why_foreign(request.headers):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        name = form.get("name", "").strip()
        cookie = self._visitors.cookie_for(name, form.get("token", ""), _address(request), time.time())
        if cookie is None or not name:
            why = "That token is none of the token file's." if name else "Say your name: it stands beside your orders."
            return self.shown("sign_in.html", status=HTTPStatus.FORBIDDEN, to=_inside(form.get("to", "")), why=why)
        return _see(_inside(form.get("to", "")), _cookie(cookie, request))

    def signed_out(self, request: AnyRequest) -> Response[str]:
        """Take the cookie away."""
        if why := why_foreign(request.headers):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        return _see("/sign-in", _cookie("", request))

    # --- ordering ---------------------------------------------------------------------------------------------

    def order(self, cluster: str, visitor: Visitor, form: Mapping[str, str]) -> Response[str]:
        """Follow a button, whose value is an order and what it is about."""
        what, _, subject = form.get("order", "").partition(" ")
        body = OrderBody(by=visitor.name or "status page", why=form.get("why", "")[:500])
        orders = self._orderer
        match what:
            case "pause":
                orders.pause(cluster, body)
            case "resume":
                orders.resume(cluster)
            case "unbrake":
                orders.unbrake(cluster, body)
            case "drain":
                orders.drain(cluster, subject, body)
            case "undrain":
                orders.undrain(cluster, subject)
            case "unfence":
                orders.unfence(cluster, subject, body)
            case "move":
                orders.move(cluster, subject or form.get("user", "").strip(), body)
            case "acknowledge":
                minutes = form.get("silence", "0")
                silence = int(minutes) if minutes in map(str, SILENCES) else 0
                orders.acknowledge(cluster, subject, AcknowledgeBody(by=body.by, why=body.why, silence_minutes=silence))
            case _:
                raise HTTPException(f"there is no order {what[:40]!r}", status_code=HTTPStatus.BAD_REQUEST)
        return _see(f"/clusters/{quote(cluster)}?said={what}")


SAID = {
    "pause": "Ordered: from now on hotdesk only observes here.",
    "resume": "Ordered: hotdesk goes on.",
    "unbrake": "Ordered: the brake is released.",
    "drain": "Ordered: that dialer is emptied.",
    "undrain": "Ordered: that dialer takes logins again.",
    "unfence": "Ordered: the fence is given back.",
    "move": "Ordered: that agent is moved.",
    "acknowledge": "Noted: you are on it.",
}


def page_routes(page: StatusPage) -> Router:  # noqa: C901 # one small route a page
    """Make the routes of the status page."""

    @get("/")
    async def overview(request: AnyRequest) -> Response[str]:
        return page.overview(page.visitor(request))

    @get("/clusters/{cluster:str}")
    async def cluster(
        request: AnyRequest, cluster: FromPath[str], explain: FromQuery[str] = "", said: FromQuery[str] = ""
    ) -> Response[str]:
        return page.cluster(cluster, page.visitor(request), explain.strip(), said)

    @post("/clusters/{cluster:str}/orders", status_code=HTTPStatus.SEE_OTHER)
    async def order(request: AnyRequest, cluster: FromPath[str]) -> Response[str]:
        form = await _form(request)
        return page.order(cluster, page.ordering_visitor(request, form), form)

    @get("/sign-in")
    async def sign_in(to: FromQuery[str] = "/") -> Response[str]:
        return page.shown("sign_in.html", to=_inside(to), why="")

    @post("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    async def signed_in(request: AnyRequest) -> Response[str]:
        return page.signed_in(request, await _form(request))

    @post("/sign-out", status_code=HTTPStatus.SEE_OTHER)
    async def sign_out(request: AnyRequest) -> Response[str]:
        return page.signed_out(request)

    @get("/static/{name:str}")
    async def static(name: FromPath[str]) -> Response[bytes]:
        if name not in STATIC:
            raise HTTPException("there is no such file", status_code=HTTPStatus.NOT_FOUND)
        content = resources.files("controller.page").joinpath("static", name).read_bytes()
        headers = HEADERS | {"Cache-Control": "max-age=3600"}
        return Response(content, media_type=STATIC[name], headers=headers)

    @get("/clusters/{cluster:str}/live")
    async def live(request: AnyRequest, cluster: FromPath[str]) -> ASGIApp:
        visitor = page.visitor(request)
        known(page.desk, cluster)
        return page.live.app(Watched(cluster, visitor.scope >= Scope.ADMIN), HEADERS)

    def failed(request: AnyRequest, error: HTTPException) -> Response[str]:
        if isinstance(error, _SignInNeeded):
            return _see(f"/sign-in?to={quote(request.scope['path'])}")
        return page.shown("message.html", status=error.status_code, why=error.detail, back=_back(request))

    return Router(
        "/",
        route_handlers=[overview, cluster, order, sign_in, signed_in, sign_out, static, live],
        include_in_schema=False,
        exception_handlers={HTTPException: failed, ProblemDetailsException: failed},
    )


async def _form(request: AnyRequest) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _address(connection: AnyConnection) -> str:
    return "" if connection.client is None else connection.client.host


def _inside(path: str) -> str:
    """Give a path of ours to go to, whatever was asked for."""
    asked = urlsplit(path.replace("\\", "/"))
    ours = asked.path.startswith("/") and not (asked.scheme or asked.netloc)
    return quote(asked.path) if ours else "/"


def _back(request: AnyRequest) -> str:
    return request.url.path.removesuffix("/orders") if request.method == "POST" else "/"


def _see(path: str, *cookies: Cookie) -> Response[str]:
    headers = HEADERS | {"Location": path}
    return Response(
        "", media_type=MediaType.HTML, status_code=HTTPStatus.SEE_OTHER, headers=headers, cookies=list(cookies)
    )


def _cookie(value: str, request: AnyRequest) -> Cookie:
    return Cookie(
        COOKIE,
        value=value,
        max_age=SIGNED_IN_SECONDS if value else 0,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",  # or a link to this page from elsewhere would find nobody signed in,
    )
