"""The status page over HTTP: pages, live updates for open ones, and forms for orders."""

import asyncio
import time
from collections.abc import Mapping
from http import HTTPStatus
from importlib import resources
from typing import Annotated, Any
from urllib.parse import quote, unquote, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response, Router, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.plugins.problem_details import ProblemDetailsException
from litestar.types import ASGIApp

from controller.api.auth import (
    WRONG_TOKENS,
    AnyRequest,
    Client,
    cluster_or_404,
    known_or_503,
    record_too_low,
    too_many,
)
from controller.api.csrf import why_embedded, why_foreign, why_rebound
from controller.api.order_previews import Previewed, preview_of
from controller.api.orders import Orderer, incidents_of
from controller.api.readiness import run_check
from controller.api.tokens import Scope, Tokens, digest_of
from controller.core.clusters import Clusters
from controller.core.explanations import Explanation, agents_words, clock, explain, listed_words, name_of
from controller.core.finding_groups import grouped
from controller.page.events import LiveUpdates, PageVariant
from controller.page.ordering import QUESTIONS, SILENCES, Button, button_of, give
from controller.page.sessions import COOKIE, SIGNED_IN_SECONDS, Visitor, Visitors
from controller.page.view import LISTED_OPEN, ClusterPage, cluster_line, cluster_page, dashboard_path
from messages.codes import DecisionCode
from messages.shown import printable
from messages.words import sentence

AnyConnection = ASGIConnection[Any, Any, Any, Any]

HEADERS = {
    # only resources of this server, and no scripts within a page
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STATIC = {
    "page.css": "text/css; charset=utf-8",
    "idiomorph.js": "text/javascript; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


LOST = "Nothing was ordered: you are no longer signed in. Sign in, and order again."


class _SignInNeeded(HTTPException):
    """The page is shown only to visitors who have signed in."""

    status_code = HTTPStatus.UNAUTHORIZED


class StatusPage:
    """The pages, their visitors and their orders."""

    def __init__(self, clusters: Clusters, orderer: Orderer, tokens: Tokens, version: str, grafana: str) -> None:
        """Make the pages; `grafana`: where the dashboards are, empty if incidents are to lead to none."""
        self.clusters = clusters
        self._orderer = orderer
        self._tokens = tokens
        self._version = version
        self._visitors = Visitors(tokens)
        self._templates = Environment(
            loader=PackageLoader("controller.page"),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_seen,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "clock": clock,
            "agents": agents_words,
            "sentence": sentence,
            "listed": listed_words,
            "dashboard": dashboard_path,
        }
        self._templates.globals["ORDERS"] = frozenset({DecisionCode.ORDERED, DecisionCode.ORDER_TAKEN_BACK})
        self._templates.globals |= {
            "version": version,
            "silences": SILENCES,
            "LISTED_OPEN": LISTED_OPEN,
            "grafana": grafana,
        }
        self._live_part = self._templates.get_template("live.html")
        self.live = LiveUpdates(
            self._contents, lambda variant, page: self._live_part.render(page=page, orders=variant.orders)
        )

    # --- visitors ---------------------------------------------------------------------------------------------

    def visitor(self, connection: AnyConnection) -> Visitor:
        """Return the visitor of a request.

        Raises:
            HTTPException: the visitor has not signed in, or a page of another site made the browser ask.
        """
        if not self._visitors.sign_in and (why := why_rebound(connection.headers) or why_embedded(connection.headers)):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        found = self._visitors.visitor(connection.cookies.get(COOKIE, ""), _address(connection), time.time())
        if found is None:
            raise _SignInNeeded
        return found

    def ordering_visitor(self, request: AnyRequest, form: Mapping[str, str]) -> Visitor:
        """Return the visitor who sends an order.

        Raises:
            HTTPException: the visitor may not, or another site made the browser send it.
        """
        found = self.visitor(request)
        if found.scope < Scope.ADMIN:
            record_too_low(self._tokens, Client(_address(request), found.token), request)
            raise HTTPException("this needs a token of scope 'admin': sign in with one", status_code=403)
        if why := why_foreign(request.headers):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        if form.get("mark") != found.mark:
            raise HTTPException("this form is out of date: load the page again, and order again", status_code=403)
        return found

    # --- pages ------------------------------------------------------------------------------------------------

    async def overview(self, visitor: Visitor) -> Response[str]:
        """Return the page of all clusters."""
        now = time.monotonic()
        lines = [
            cluster_line(cluster.state, cluster.snapshot(), stale=cluster.stale(now))
            for _, cluster in sorted(self.clusters.by_name.items())
        ]
        return await self.shown("overview.html", visitor=visitor, clusters=lines)

    async def cluster(self, request: AnyRequest, name: str, asked: str, *, still: bool) -> Response[str]:
        """Return the page of one cluster, with the explanation of `asked`; `still`: it does not reload by itself."""
        visitor, cluster = self.visitor(request), cluster_or_404(self.clusters, name)
        explained: list[Explanation] = []
        if asked:
            stale = cluster.stale(time.monotonic())
            explained = explain(cluster.state, cluster.policy, cluster.decisions, asked, stale=stale)
        confirmation = unquote(request.cookies.get(ORDERED_COOKIE, ""))[:SAID_LENGTH]
        shown = await self.shown(
            "cluster.html",
            visitor=visitor,
            page=self._page(name),
            orders=visitor.scope >= Scope.ADMIN,
            asked=asked,
            explained=explained,
            confirmation=confirmation,
            still=still,
        )
        if confirmation:
            shown.set_cookie(_cookie(ORDERED_COOKIE, "", request, seconds=0))
        return shown

    async def readiness(self, request: AnyRequest, name: str) -> Response[str]:
        """Return the page of what a cluster lacks for hot-desking."""
        visitor, cluster = self.visitor(request), known_or_503(cluster_or_404(self.clusters, name))
        found = await run_check(cluster.state)
        groups = await asyncio.to_thread(grouped, found)  # a night of unregistered phones is thousands
        return await self.shown("readiness.html", visitor=visitor, cluster=name, count=len(found), groups=groups)

    async def shown(self, template: str, status: int = 200, **values: object) -> Response[str]:
        """Return a rendered page; it is rendered in a thread, so that no login waits for it."""
        html = await asyncio.to_thread(self._rendered, template, values)
        return Response(html, media_type=MediaType.HTML, headers=HEADERS, status_code=status)

    def message(self, why: str, status: int, back: str) -> Response[str]:
        """Return a page that says what went wrong."""
        html = self._rendered("message.html", {"why": why, "back": back})
        return Response(html, media_type=MediaType.HTML, headers=HEADERS, status_code=status)

    def _rendered(self, template: str, values: Mapping[str, object]) -> str:
        now_ms = time.time_ns() // 1_000_000
        common = {"visitor": None, "sign_in": self._visitors.sign_in, "now_ms": now_ms}
        return self._templates.get_template(template).render(common | dict(values))

    def _page(self, name: str) -> ClusterPage:
        cluster = cluster_or_404(self.clusters, name)
        return cluster_page(
            cluster.state,
            cluster.snapshot(),
            incidents_of(cluster),
            cluster.decisions,
            stale=cluster.stale(time.monotonic()),
            acts=cluster.acts,
        )

    def _contents(self, variant: PageVariant) -> ClusterPage | None:
        return self._page(variant.cluster) if variant.cluster in self.clusters.by_name else None

    # --- signing in -------------------------------------------------------------------------------------------

    async def signed_in(self, request: AnyRequest, form: Mapping[str, str]) -> Response[str]:
        """Sign a visitor in who knows a token."""
        if why := why_foreign(request.headers):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        address = _address(request)
        token = form.get("token", "").strip()
        if seconds := self._tokens.guesses.seconds_to_wait(address, digest_of(token)):
            raise too_many(WRONG_TOKENS, seconds)
        name = form.get("name", "").strip()
        cookie = self._visitors.cookie_for(name, token, address, time.time())
        if cookie is not None:
            self._tokens.guesses.right(address, digest_of(token))
        elif token:
            if seconds := self._tokens.guesses.seconds_to_wait(address):
                raise too_many(WRONG_TOKENS, seconds)
            await self._tokens.guesses.wrong(address)
        if cookie is None or not name:
            why = (
                "The token file does not have that token."
                if name
                else "Enter your name: your orders are shown with it."
            )
            to = _inside(form.get("to", ""))
            return await self.shown("sign_in.html", status=HTTPStatus.FORBIDDEN, to=to, why=why)
        return _see(_inside(form.get("to", "")), _cookie(COOKIE, cookie, request))

    def signed_out(self, request: AnyRequest) -> Response[str]:
        """Sign a visitor out: delete the cookie."""
        if why := why_foreign(request.headers):
            raise HTTPException(why, status_code=HTTPStatus.FORBIDDEN)
        return _see("/sign-in", _cookie(COOKIE, "", request, seconds=0))

    # --- ordering ---------------------------------------------------------------------------------------------

    async def order(self, request: AnyRequest, name: str, form: Mapping[str, str]) -> Response[str]:
        """Return the order of a button, once the visitor has seen what it would do, and is sure."""
        visitor = self.ordering_visitor(request, form)
        button = button_of(form)
        if button.asks is not None:
            return await self._asked(visitor, name, button.asks, button)
        client = Client(_address(request), visitor.token)
        answer = await give(self._orderer, name, button, visitor.name or "status page", client)
        said = quote(f"Ordered: {answer.ordered}.")
        return _see(f"/clusters/{name}", _cookie(ORDERED_COOKIE, said, request, seconds=ORDERED_SECONDS))

    async def _asked(self, visitor: Visitor, name: str, order: Previewed, button: Button) -> Response[str]:
        """Return the page that says what an order would do, and asks whether to give it."""
        cluster = cluster_or_404(self.clusters, name)
        return await self.shown(
            "confirm.html",
            visitor=visitor,
            cluster=name,
            question=QUESTIONS[order].format(subject=name_of(cluster.state, button.subject), cluster=name),
            preview=preview_of(cluster, order, button.subject),
            order=f"{order} {button.subject}",
            why=button.why,
        )


ORDERED_COOKIE = "hotdesk_said"
ORDERED_SECONDS = 30
"""A cookie and not a link has what was ordered just now, so that it is confirmed once."""
SAID_LENGTH = 500


def _seen(value: object) -> object:
    """Return what a template shows with every character of it visible; what a template rendered itself stays."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def page_routes(page: StatusPage) -> Router:  # noqa: C901 # one small route for each page
    """Return the routes of the status page."""

    @get("/")
    async def overview(request: AnyRequest) -> Response[str]:
        return await page.overview(page.visitor(request))

    @get("/clusters/{cluster:str}")
    async def cluster(
        request: AnyRequest,
        cluster: FromPath[str],
        explain: Annotated[str, QueryParameter(max_length=255)] = "",
        still: FromQuery[bool] = False,  # a query parameter
    ) -> Response[str]:
        return await page.cluster(request, cluster, explain.strip(), still=still)

    @get("/clusters/{cluster:str}/readiness")
    async def readiness(request: AnyRequest, cluster: FromPath[str]) -> Response[str]:
        return await page.readiness(request, cluster)

    @post("/clusters/{cluster:str}/orders", status_code=HTTPStatus.SEE_OTHER)
    async def order(request: AnyRequest, cluster: FromPath[str]) -> Response[str]:
        return await page.order(request, cluster, await _form(request))

    @get("/sign-in")
    async def sign_in(
        to: FromQuery[str] = "/",
        lost: FromQuery[bool] = False,  # a query parameter
    ) -> Response[str]:
        return await page.shown("sign_in.html", to=_inside(to), why=LOST if lost else "")

    @post("/sign-in", status_code=HTTPStatus.SEE_OTHER)
    async def signed_in(request: AnyRequest) -> Response[str]:
        return await page.signed_in(request, await _form(request))

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
        cluster_or_404(page.clusters, cluster)
        return page.live.app(PageVariant(cluster, visitor.scope >= Scope.ADMIN), HEADERS)

    def failed(request: AnyRequest, error: HTTPException) -> Response[str]:
        if isinstance(error, _SignInNeeded):
            return _see(f"/sign-in?to={quote(_back(request), safe='/')}" + ("&lost=1" if _orders(request) else ""))
        return page.message(error.detail, error.status_code, _back(request) if _orders(request) else "/")

    return Router(
        "/",
        route_handlers=[overview, cluster, readiness, order, sign_in, signed_in, sign_out, static, live],
        include_in_schema=False,
        exception_handlers={HTTPException: failed, ProblemDetailsException: failed},
    )


async def _form(request: AnyRequest) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


def _address(connection: AnyConnection) -> str:
    return "" if connection.client is None else connection.client.host


def _inside(path: str) -> str:
    """Return a path of this site to go to, whatever was asked for."""
    try:
        asked = urlsplit(path)
    except ValueError:
        return "/"
    ours = asked.path.startswith("/") and not asked.path.startswith("//") and not (asked.scheme or asked.netloc)
    if not ours or "\\" in path or not path.isprintable():
        return "/"
    return asked.path + (f"?{asked.query}" if asked.query else "")


def _orders(request: AnyRequest) -> bool:
    return request.method == "POST"


def _back(request: AnyRequest) -> str:
    """Return the page that a request came from, or was for."""
    path, query = str(request.scope["path"]).removesuffix("/orders"), request.scope["query_string"].decode()
    return f"{path}?{query}" if query and not _orders(request) else path


def _see(path: str, *cookies: Cookie) -> Response[str]:
    headers = HEADERS | {"Location": quote(path, safe="/?&=%+")}
    return Response(
        "", media_type=MediaType.HTML, status_code=HTTPStatus.SEE_OTHER, headers=headers, cookies=list(cookies)
    )


def _cookie(name: str, value: str, request: AnyRequest, *, seconds: int = SIGNED_IN_SECONDS) -> Cookie:
    return Cookie(
        name,
        value=value,
        max_age=seconds,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",  # or a visitor who follows a link from elsewhere to this page would not be signed in
    )
