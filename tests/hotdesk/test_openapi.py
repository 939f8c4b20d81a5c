"""The API is what its OpenAPI document says: whatever fits the document, or just not, is answered as it says."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from controller.api import guesses
from controller.core import cluster
from hotdesk.settings import ApiOptions
from tests.support.builders import ONE, secret_file
from tests.support.fed_service import TOKENS, FedService, bearer, service_of
from tests.support.processes import CLUSTER

EXAMPLES = 12
"""For each operation, its document kept or broken; where tokens are asked for, each is asked by three people."""
REAL = {"cluster": CLUSTER, "alias": "desk", "name": "desk", "user": "1001", "server_ip": ONE, "incident": "none@1"}
"""What a path's parameters name here; a random text names nothing."""
CHECKED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]


@pytest.fixture(scope="module", params=[False, True], ids=["this machine", "tokens"])
def floor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FedService]:
    """Yield a process that owns a cluster of three dialers, and asks for tokens or not."""
    folder = tmp_path_factory.mktemp("openapi")
    api = ApiOptions(port=0)
    if request.param:
        api = ApiOptions(port=0, token_file=folder / "tokens")
        secret_file(folder / "tokens", "".join(f"{scope} {token}\n" for scope, token in TOKENS.items()))
    # a generated token is a guess, and late by itself; and no poll is too old, however long a request takes to generate
    with (
        patch.object(guesses, "LATE_SECONDS", 0.0),
        patch.object(cluster, "STALE_SECONDS", 3600.0),
        service_of(folder, api) as service,
    ):
        made = FedService(service)
        if request.param:
            made.http.headers.update(bearer("admin"))
        yield made
        made.client.close()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """Yield a connection that knows no proxy."""
    with requests.Session() as made:
        made.trust_env = False
        yield made


@pytest.mark.parametrize("mode", GenerationMode)
def test_whatever_is_asked_is_answered_as_the_document_says(
    floor: FedService, session: requests.Session, mode: GenerationMode
) -> None:
    schema = schemathesis.openapi.from_dict(floor.http.get("/openapi/openapi.json").json())
    askers = [bearer("admin"), {}, bearer("read")] if "authorization" in floor.http.headers else [{}]
    statuses: set[int] = set()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and not operation.body:
            continue  # what is no text cannot stand in a path

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
        def ask(case: Case[Any], *, real: bool) -> None:
            if real:
                case.path_parameters = {name: REAL.get(name, value) for name, value in case.path_parameters.items()}
                if mode is GenerationMode.POSITIVE and isinstance(case.body, dict) and "alias" in case.body:
                    case.body["alias"] = REAL["alias"]
            for asker in askers:
                answer = case.call(base_url=floor.client.url, session=session, headers=asker)
                statuses.add(answer.status_code)
                case.validate_response(answer, checks=CHECKED)

        floor.open(1, 1, 1)
        ask()
    # or it would prove nothing
    assert statuses >= ({200, 201, 202, 204, 404, 409} if mode is GenerationMode.POSITIVE else {400})
    assert statuses >= ({401, 403} if "authorization" in floor.http.headers else set())
