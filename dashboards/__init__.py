"""Grafana's dashboards, written down in Python: `python -m dashboards` makes the JSON beside these files.

They know of hotdesk what anybody may who reads its metrics: the names in `messages`, and nothing of the other rooms.
"""

import importlib
import warnings

with warnings.catch_warnings():
    # The SDK would rather have the second schema, which only the newest Grafana reads. The first one is read by all.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    for module in ("dashboard", "stat"):
        importlib.import_module(f"grafana_foundation_sdk.builders.{module}")
