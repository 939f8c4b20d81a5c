"""What is running."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("hotdesk")
except PackageNotFoundError:  # run from a source tree that was never installed
    VERSION = "0+source"
