"""What the documents say is what the code is: grants, metrics, settings, commands, targets, links."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from collectors.metrics import CollectorInstruments
from controller.api.schemas import AliasAnswer, IncidentAnswer, PickAnswer, RankingAnswer, ReloginAnswer
from controller.api.tokens import digest_of
from controller.runtime.metrics import ControllerInstruments
from hotdesk import settings
from hotdesk.cli.main import app
from hotdesk.errors import HotdeskError
from hotdesk.notify.settings import NotifySettings
from hotdesk.settings import ApiOptions, ClusterSettings, LogOptions
from messages import metrics
from messages import words as worded
from messages.codes import Code
from messages.words import Words
from tests.support.invariants import Invariant

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), *sorted((ROOT / "helm").rglob("*.md"))]
DATABASE = DOCS / "guide" / "database.md"
METRICS = DOCS / "reference" / "metrics.md"
SETTINGS = DOCS / "reference" / "settings.md"
EXAMPLE = (ROOT / "hotdesk" / "example.toml").read_text()

LOG = [field.name for field in fields(LogOptions)]
API = [field.name for field in fields(ApiOptions)]
CLUSTER = [field.name for field in msgspec.structs.fields(ClusterSettings)]
NOTIFY = [field.name for field in msgspec.structs.fields(NotifySettings)]
TABLES = {"The log": LOG, "The API": API, "A cluster": CLUSTER, "Notifications": NOTIFY}

NOT_IN_THE_EXAMPLE = {
    *("prefix", "replication", "tls_cert", "tls_key", "url", "socket"),  # few need them; settings.md has them
    *("password", "ami_secret", "agent_api_password", "smtp_password"),  # they may not stand in the file
}

ANSWERS = [PickAnswer, AliasAnswer, ReloginAnswer, RankingAnswer, list[IncidentAnswer]]
"""Of the first examples of `reference/api.md`, in this order."""

NO_TEXT = {".png", ".pyc"}
NO_LABELS = "\u2013"

ROW = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SHELL = re.compile(r"```sh\n(.*?)```", re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def _section(text: str, title: str) -> str:
    """Return what stands under a heading that begins with `title`."""
    found = re.search(rf"^## {re.escape(title)}.*?\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[1]


def _shell_lines(text: str) -> Iterator[str]:
    """Yield each line of the shell blocks, and each piece of code in a sentence; continued lines as one."""
    for block in SHELL.findall(text):
        yield from block.replace("\\\n", " ").splitlines()
    yield from INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def _words(line: str) -> list[str]:
    """Split a line as a shell does, without variables before the command."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    return words


def _hotdesk_commands(text: str) -> Iterator[list[str]]:
    for line in _shell_lines(text):
        words = _words(line)
        if len(words) > 1 and words[0] in {"hotdesk", ".venv/bin/hotdesk"}:
            yield words[1:]


@pytest.mark.parametrize("path", sorted(ROOT.glob("co*/grants*.sql")), ids=str)
def test_the_grants_stand_in_the_document_word_for_word(path: Path) -> None:
    grants = path.read_text()
    assert f"```sql\n{grants}```" in DATABASE.read_text()


def test_each_statement_has_its_row_in_the_table_of_costs() -> None:
    costs = _section(DATABASE.read_text(), "What each statement costs")
    priced = {name for row in costs.splitlines() if row.startswith("| `") for name in INLINE.findall(row.split("|")[1])}
    statements = {path.stem for path in (ROOT / "collectors" / "vicidial" / "statements").glob("*.sql")}
    assert priced == statements - {"clock", "columns", "lock", "lock_held", "lock_other", "lock_other_free"}


def test_the_page_of_failures_names_tests_and_scenarios_that_are_there() -> None:
    text = (DOCS / "design" / "failures.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 20
    assert sorted(each for each in named if f"def {each}(" not in code) == []
    stories = set(re.findall(r"`(\w+\.toml)`", text))
    assert sorted(each for each in stories if not (ROOT / "tests" / "scenarios" / each).exists()) == []


WAYS = ("killed", "stopped", "cut", "slow", "full", "wrong")
PARTS = [each for each in (DOCS / "design" / "failures.md").read_text().split("\n## ")[1:] if "\n| how |" in each]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.partition("\n")[0])
def test_each_part_is_looked_at_in_each_way_to_fail_or_it_says_that_this_was_not_tried(part: str) -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| ")
    ]
    assert [way for way in WAYS if not any(way in row[0].lower() for row in rows)] == []
    unproved = [row[0] for row in rows[1:] if not re.search(r"`(test_\w+|\w+\.toml|make bench .*)`", row[-1])]
    assert [
        how for how in unproved if not any("not tried" in cell for row in rows if row[0] == how for cell in row)
    ] == []


def test_each_metric_is_in_the_tables_and_none_else() -> None:
    registry = CollectorRegistry()
    ControllerInstruments(registry)
    CollectorInstruments(registry)
    counters = {family.name for family in registry.collect() if family.type == "counter"}
    others = (metrics.TOKENS_REFUSED, metrics.SCOPE_REFUSED, metrics.CONNECTIONS_REFUSED, metrics.OUTBOX_DROPPED)
    counters |= {each.name for each in others}
    known = [each for each in vars(metrics).values() if isinstance(each, metrics.Metric)]
    shown = {each.name + ("_total" if each.name in counters else "") for each in known}
    text = METRICS.read_text()
    assert sorted(ROW.findall(text)) == sorted(shown)
    mentioned = {name for path in DOCUMENTS for name in re.findall(r"\bhotdesk_[a-z_]+\b", path.read_text())}
    parts = {name + part for name in shown for part in ("_bucket", "_sum", "_count")}
    assert mentioned <= shown | parts


def test_a_metric_has_the_help_and_the_labels_of_the_code() -> None:
    text = METRICS.read_text()
    for each in vars(metrics).values():
        if isinstance(each, metrics.Metric):
            labels = ", ".join(f"`{label}`" for label in each.labels) or NO_LABELS
            assert re.search(
                rf"^\| `{each.name}(_total)?` \| \w+ \| {labels} \| {re.escape(each.help)} \|$", text, re.MULTILINE
            )


@pytest.mark.parametrize("title", TABLES)
def test_each_setting_is_in_its_table_and_none_else(title: str) -> None:
    text = SETTINGS.read_text()
    assert ROW.findall(_section(text, title)) == TABLES[title]


@pytest.mark.parametrize(("table", "names"), [("log", LOG), ("api", API)])
def test_a_setting_has_its_flag_and_variable(table: str, names: list[str]) -> None:
    text = SETTINGS.read_text()
    for name in names:
        flag, variable = f"--{table}.{name.replace('_', '-')}", f"HOTDESK_{table}_{name}".upper()
        assert f"| `{name}` | `{flag}` | `{variable}` |" in text


def test_each_setting_is_in_the_example() -> None:
    there = set(re.findall(r"^(?:# )?([a-z_]+) = ", EXAMPLE, re.MULTILINE)) | set(re.findall(r"[a-z_]+_file", EXAMPLE))
    assert {*LOG, *API, *CLUSTER, *NOTIFY} - NOT_IN_THE_EXAMPLE <= there
    assert there <= {*LOG, *API, *CLUSTER, *NOTIFY}


def test_the_example_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "hotdesk.toml"
    file.write_text(EXAMPLE)
    tables, clusters, notify = settings.read_file(file, must_exist=True)
    assert set(tables) == {"log", "api"}
    assert list(settings.clusters(clusters, settings.Options(), {})) == ["main"]
    assert notify == {}


@pytest.mark.parametrize("page", ["install", "helm"])
def test_the_digest_of_a_token_file_is_that_of_its_first_token_to_read(page: str, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("admin an-admin-s-token-1\nread one-token-to-read\nread another-to-read-1\n")
    text = (DOCS / "guide" / f"{page}.md").read_text()
    (line,) = re.findall(r"\$\((awk .* \| sha256sum .*? -f 1)\)", text)
    shell = ["sh", "-c", re.sub(r"\S*tokens(\.txt)?(?= \|)", "tokens", line)]
    said = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603 # the page's
    assert said.stdout.strip() == digest_of("one-token-to-read")


def test_each_exit_code_is_told() -> None:
    codes = {HotdeskError.exit_code, *(kind.exit_code for kind in HotdeskError.__subclasses__())}
    told = _section(SETTINGS.read_text(), "Exit codes")
    assert {0, *codes} == {int(code) for code in re.findall(r"^\| (\d+) \|", told, re.MULTILINE)} - {130}


@each_document
def test_each_target_of_make_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        words[1] for words in map(_words, _shell_lines(document.read_text())) if words[:1] == ["make"] and words[1:]
    }
    assert named <= targets


@each_document
def test_each_command_exists(document: Path) -> None:
    for words in _hotdesk_commands(document.read_text()):
        if words[0].startswith("-"):
            continue
        command, apps, rest = app.parse_commands(words)
        assert command, f"hotdesk {' '.join(words)}"
        known = {name for argument in apps[-1].assemble_argument_collection() for name in argument.names}
        flags = {word.partition("=")[0] for word in rest if word.startswith("--")}
        unknown = {flag for flag in flags if not flag.startswith("--clusters.")} - known - {"--config", "--help"}
        assert not unknown, f"hotdesk {' '.join(words)}"


def test_the_toml_in_the_documents_is_taken() -> None:
    for document in DOCUMENTS:
        for block in re.findall(r"```toml\n(.*?)```", document.read_text(), re.DOTALL):
            tables = tomllib.loads(block)
            assert set(tables.get("log", {})) <= set(LOG)
            assert set(tables.get("api", {})) <= set(API)


def _links(document: Path) -> Iterator[tuple[Path, str]]:
    """Yield the file and the anchor of each link that stays in the repository."""
    for link in LINK.findall(document.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        yield (document.parent / path).resolve() if path else document, anchor


def _anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@each_document
def test_each_link_leads_somewhere(document: Path) -> None:
    for target, anchor in _links(document):
        assert target.exists(), target
        assert not anchor or anchor in _anchors(target), f"{target}#{anchor}"


def test_each_file_of_the_documentation_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        document = ahead.pop()
        found = {target for target, _ in _links(document)} - reached
        reached |= found
        ahead += [target for target in found if target.suffix == ".md"]
    assert {path for path in DOCS.rglob("*") if path.is_file() and "__pycache__" not in path.parts} <= reached


def _files() -> Iterator[Path]:
    """Yield the repository's own files, without what is built or fetched."""
    for top in ROOT.iterdir():
        if not top.name.startswith(".") and top.name != "dist":
            yield from (path for path in (top, *top.rglob("*")) if path.is_file() and path.suffix not in NO_TEXT)


def test_each_document_that_a_file_names_exists() -> None:
    for path in _files():
        for name in re.findall(r"\bdocs/[\w/-]+\.\w+", path.read_text()):
            assert (ROOT / name).is_file(), f"{path}: {name}"


@each_document
def test_each_file_that_a_document_names_exists(document: Path) -> None:
    for name in INLINE.findall(document.read_text()):
        first, _, rest = name.partition("/")
        if first and re.fullmatch(r"[\w./-]+", rest) and (ROOT / first).is_dir():
            assert (ROOT / name).exists(), name


def test_no_document_names_a_place_of_one_machine() -> None:
    for path in [
        *DOCUMENTS,
        *(each for each in DOCS.rglob("*") if each.is_file() and each.suffix not in NO_TEXT),
    ]:
        assert not re.search(r"(?<![\w.])/(home|root|work|Users|tmp)/", path.read_text()), path.name


def test_only_the_container_has_its_programs_right_below_opt_hotdesk() -> None:
    for path in [*DOCUMENTS, *(each for each in DOCS.rglob("*") if each.suffix == ".md")]:
        paragraphs = path.read_text().split("\n\n")
        assert [each for each in paragraphs if "/opt/hotdesk/bin" in each and "container" not in each] == [], path


def test_the_picture_needs_nothing_from_the_network() -> None:
    picture = (DOCS / "pictures" / "demo.svg").read_text()
    assert "@font-face" not in picture
    assert not re.search(r"""(href|url)\s*[=(]\s*["']?https?:""", picture)


def test_the_glossary_has_one_row_for_each_word() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (DOCS / "reference" / "glossary.md").read_text().splitlines()
        if re.match(r"\| [a-z]", line) and not line.startswith("| word |")
    ]
    assert all(len(row) == 4 and all(row[:3]) for row in rows)
    words = [word for row in rows for word in row[0].split(", ")]
    assert len(words) == len(set(words))
    forbidden = {word for row in rows for word in re.findall(r"`(.*?)`", row[3])}
    assert not forbidden & set(words)


def test_each_thread_is_in_the_table_of_threads() -> None:
    rooms = ("controller", "collectors", "stream", "hotdesk")
    code = "".join(path.read_text() for room in rooms for path in sorted((ROOT / room).rglob("*.py")))
    started = re.findall(r'threading\.Thread\([^"]*?\bname=f?"(.*?)"', code)
    started += re.findall(r'_run_thread\("(.*?)"', code)
    told = (DOCS / "design" / "threads.md").read_text()
    for name in {re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), name) for name in started}:
        assert f"`{name}`" in told, name


def test_each_route_of_the_api_is_in_its_page() -> None:
    text = (DOCS / "reference" / "api.md").read_text()
    code = "".join(path.read_text() for path in sorted((ROOT / "controller" / "api").glob("*.py")))
    for route in re.findall(r'"(/v1/[^"]*)"', code):
        path = re.sub(r"\{(\w+):\w+\}", lambda found: found[1].upper(), route)
        assert re.search(rf" {path}[`?]", text), path


def _row_of_code(code: str, words: Words) -> str:
    sentence = words.sentence.replace("{", "").replace("}", "")
    return f"| `{code}` | {sentence} | {words.remedy} |".replace("|  |", "| |")


@pytest.mark.parametrize("kind", worded.TABLES, ids=lambda each: each.__name__)
def test_each_code_has_its_row_with_its_sentence_and_remedy(kind: type[Code]) -> None:
    section = _section((DOCS / "reference" / "codes.md").read_text(), _title_of(kind))
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [_row_of_code(code, words) for code, words in worded.TABLES[kind].items()]


def _title_of(kind: type[Code]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__).capitalize()


def test_the_simulation_numbers_the_invariants_as_their_page_does() -> None:
    numbers = re.findall(r"^## (\d+)\. ", (DOCS / "design" / "invariants.md").read_text(), re.MULTILINE)
    assert [int(number) for number in numbers] == [*range(1, 22)]
    assert {each.value for each in Invariant} == {*range(1, 14), 15, 17, 19, 20, 21} - {11}


def holds(shown: object, known: object) -> bool:
    """Return True if all that is shown is known, by the same names."""
    if isinstance(shown, dict) and isinstance(known, dict):
        return all(name in known and holds(each, known[name]) for name, each in shown.items())
    if isinstance(shown, list) and isinstance(known, list):
        return all(holds(each, other) for each, other in zip(shown, known, strict=True))
    return bool(shown == known)


def test_answers_in_the_documents_have_the_fields_of_real_ones() -> None:
    shown = re.findall(r"```json\n(.*?)```", (DOCS / "reference" / "api.md").read_text(), re.DOTALL)
    for text, answer in zip(shown, ANSWERS, strict=False):
        example = msgspec.json.decode(re.sub(r",\s*…(?=\s*])|…", "", text))
        real = msgspec.json.encode(msgspec.convert(example, answer))
        assert holds(example, msgspec.json.decode(real))


def test_the_comparison_names_what_vicidial_ships_of_its_own() -> None:
    text = (DOCS / "reference" / "comparison.md").read_text()
    for own in ("AST_timecheck.pl", "Servers Summary", "frozen_server_call_clear"):
        assert own in text


def test_the_comparison_names_every_way_in_which_somebody_is_told() -> None:
    rows = (DOCS / "reference" / "comparison.md").read_text().splitlines()
    (told,) = (row for row in rows if row.startswith("| somebody is told "))
    ours = told.split("|")[-2]
    assert all(each in ours for each in ("journal", "guide/notifications.md", "`hotdesk status`", "Prometheus"))


def test_what_is_there_is_nowhere_said_to_be_still_to_come() -> None:
    stale = re.compile(r"still to come|does not ask hotdesk yet|nor, today, hotdesk", re.IGNORECASE)
    for page in (*sorted(DOCS.rglob("*.md")), ROOT / "README.md"):
        assert not stale.search(page.read_text()), page
