"""`helm test`: hotdesk's API must be ready and know its clusters."""  # noqa: INP001 - a pod's program

import json
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 10


def ask(base: str, path: str, token: str = "") -> bytes:
    """Return the answer's body.

    Raises:
        SystemExit: no answer, or not a success; with one line that says why.
    """
    connection = HTTPConnection(urlsplit(base).netloc, timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise SystemExit(f"{base}{path} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status >= 300:  # noqa: PLR2004 - not a success
        raise SystemExit(f"{base}{path} answers {answer.status}: {body.decode(errors='replace')}")
    return body


def main(base: str, token_file: str, *clusters: str) -> None:
    """Ask, and print the result.

    Raises:
        SystemExit: the API is not ready, or has no poll of one of the clusters.
    """
    ask(base, "/readyz")
    lines = (line.partition("#")[0].split() for line in Path(token_file).read_text().splitlines())
    token = next((words[-1] for words in lines if words), "")
    answered = json.loads(ask(base, "/v1/clusters", token))
    # An incident makes a cluster known before its database ever answered.
    known = {each["cluster"] for each in answered if each["age_ms"] is not None}
    if unseen := set(clusters) - known:
        raise SystemExit(f"no poll yet of {', '.join(sorted(unseen))}: see the collectors' logs")
    sys.stdout.write(f"ready, with polls of {', '.join(sorted(known))}\n")


main(*sys.argv[1:])
