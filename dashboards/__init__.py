"""Grafana's dashboards, defined in Python: `python -m dashboards` writes the JSON beside these files.

They know only the names of hotdesk's metrics in `messages`, like any reader of the metrics, and no other package.
"""

import importlib
import warnings

with warnings.catch_warnings():
    # The SDK warns in favour of the second schema, which only the newest Grafana reads. All of them read the first one.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    for module in ("dashboard", "stat"):
        importlib.import_module(f"grafana_foundation_sdk.builders.{module}")
