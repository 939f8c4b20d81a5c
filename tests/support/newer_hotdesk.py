"""hotdesk as a later version might be: this code with a newer schema of records, in which two fields have new names.

`python newer.py control` is `hotdesk control` of that version. It is made from the text of `messages/records.py`, as a
programmer would change it, before anything imports that.
"""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec, module_from_spec
from typing import Any

CHANGES = {
    "SCHEMA_VERSION = 1\n": "SCHEMA_VERSION = 2\n",
    "class Poll(Stamped, ": 'class Poll(Stamped, rename={"collector": "observed_by"}, ',
    "class Incident(Record, ": 'class Incident(Record, rename={"why": "evidence"}, ',
}
NEW_NAMES = {"poll": ("collector", "observed_by"), "incident": ("why", "evidence")}


class _Changed(SourceFileLoader):
    def get_data(self, path: str) -> bytes:
        if not path.endswith(".py"):
            raise OSError("what is compiled is not changed")
        text = super().get_data(path).decode()
        for before, after in CHANGES.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        return text.encode()


def upgrade(raw: dict[str, Any]) -> dict[str, Any]:
    """Make a record of version 1 one of version 2."""
    before, after = NEW_NAMES.get(raw["record"], ("", ""))
    return {after if name == before else name: value for name, value in raw.items()}


def become_newer() -> None:
    """Have this process read and write the newer schema."""
    found = find_spec("messages.records")
    assert found is not None
    assert found.origin is not None
    found.loader = _Changed(found.name, found.origin)
    module = module_from_spec(found)
    sys.modules[found.name] = module
    sys.dont_write_bytecode = True
    found.loader.exec_module(module)
    sys.dont_write_bytecode = False
    from messages import codec  # noqa: PLC0415 # it imports the records

    codec.UPGRADES[1] = upgrade


if __name__ == "__main__":
    become_newer()
    from hotdesk.cli.main import main

    main()
