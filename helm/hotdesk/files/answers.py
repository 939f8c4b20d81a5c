"""Ask hotdesk's API whether it is ready and knows its clusters: what `helm test` runs."""  # noqa: INP001 - a pod's program

import json
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

SECONDS = 10


def ask(base: str, path: str, token: str = "") -> bytes:
    """Give the answer's body; anything but a success ends this with one line."""
    connection = HTTPConnection(urlsplit(base).netloc, timeout=SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise SystemExit(f"{base}{path} does not answer: {error}") from error
    finally:
        connection.close()
    if answer.status >= 300:  # noqa: PLR2004 - whatever is no success
        raise SystemExit(f"{base}{path} answers {answer.status}: {body.decode(errors='replace')}")
    return body


def main(base: str, token_file: str, *clusters: str) -> None:
    """Look, and say what was found."""
    ask(base, "/readyz")
    lines = (line.partition("#")[0].split() for line in Path(token_file).read_text().splitlines())
    token = next(words[1] for words in lines if words)
    answered = json.loads(ask(base, "/v1/clusters", token))
    # an incident makes a cluster known before its database ever answered
    known = {each["cluster"] for each in answered if each["age_ms"] is not None}
    if unseen := set(clusters) - known:
        raise SystemExit(f"nothing was collected yet of {', '.join(sorted(unseen))}: look at the collectors' logs")
    sys.stdout.write(f"ready, and knows {', '.join(sorted(known))}\n")


main(*sys.argv[1:])
