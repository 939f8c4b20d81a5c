"""On which line of a file a setting stands, however it is written there."""

import pytest

from hotdesk.toml_lines import Step, TomlLines

TEXT = """\
# [clusters.main]
[clusters.north-west]
host = "db"
probes."10.0.0.3".ami = false
maintenance = [
  { start = "03:00", minutes = 5 },
]

[clusters.north-west.probes."10.0.0.2"]
ami = true

[[clusters.main.maintenance]]
start = "03:00"
[[clusters.main.maintenance]]  # another one
"start" = "04:00"
[clusters.main.maintenance.more]
x = 1
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("clusters", "north-west", "host"), 3),
        (("clusters", "north-west", "absent"), 2),
        (("clusters", "north-west", "probes", "10.0.0.3", "ami"), 4),
        (("clusters", "north-west", "maintenance", 0, "start"), 5),
        (("clusters", "north-west", "probes", "10.0.0.2", "ami"), 10),
        (("clusters", "main", "maintenance", 0, "start"), 13),
        (("clusters", "main", "maintenance", 0, "minutes"), 12),
        (("clusters", "main", "maintenance", 1, "start"), 15),
        (("clusters", "main", "maintenance", 1, "more", "x"), 17),
        (("clusters", "main", "maintenance"), 12),
        (("api", "port"), 1),
    ],
)
def test_a_key_has_the_line_it_stands_on_or_that_of_its_table(path: tuple[Step, ...], line: int) -> None:
    assert TomlLines("hotdesk.toml", TEXT).line_of(path) == line
