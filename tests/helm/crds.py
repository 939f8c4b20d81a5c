"""What the Prometheus Operator's kinds take: the fields of their documented API that the chart may use, and no others.

Written down from Documentation/api-reference/api.md and the CRDs (example/prometheus-operator-crd-full) of
prometheus-operator/prometheus-operator, commit 6adcebc5076c34f4f55f8f5f7b1e528929373ac7 of August 2026.
"""

from typing import Any

Schema = dict[str, Any]

DURATION = r"^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$"
TEXT: Schema = {"type": "string"}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
LASTS: Schema = {"type": "string", "pattern": DURATION}


def _object(properties: Schema, *required: str) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


METADATA = _object({"name": TEXT, "namespace": TEXT, "labels": TEXTS, "annotations": TEXTS}, "name")
SELECTOR = _object(
    {"matchLabels": TEXTS, "matchExpressions": _list(_object({"key": TEXT, "operator": TEXT, "values": _list(TEXT)}))}
)
SECRET_KEY = _object({"name": TEXT, "key": TEXT, "optional": {"type": "boolean"}}, "key")
RELABELING = _object(
    {
        "action": {"enum": ["replace", "keep", "drop", "hashmod", "labelmap", "labeldrop", "labelkeep"]},
        "modulus": {"type": "integer"},
        "regex": TEXT,
        "replacement": TEXT,
        "separator": TEXT,
        "sourceLabels": _list(TEXT),
        "targetLabel": TEXT,
    }
)
ENDPOINT = _object(
    {
        "authorization": _object({"type": TEXT, "credentials": SECRET_KEY}),
        "honorLabels": {"type": "boolean"},
        "interval": LASTS,
        "metricRelabelings": _list(RELABELING),
        "path": TEXT,
        "port": TEXT,
        "relabelings": _list(RELABELING),
        "scheme": {"enum": ["http", "https"]},
        "scrapeTimeout": LASTS,
        "targetPort": {"type": ["string", "integer"]},
    }
)
RULE = _object(
    {
        "record": TEXT,
        "alert": TEXT,
        "expr": {"type": ["string", "integer"]},
        "for": LASTS,
        "keep_firing_for": {**LASTS, "minLength": 1},
        "labels": TEXTS,
        "annotations": TEXTS,
    },
    "expr",
)


def _kind(name: str, spec: Schema) -> Schema:
    return _object(
        {
            "apiVersion": {"const": "monitoring.coreos.com/v1"},
            "kind": {"const": name},
            "metadata": METADATA,
            "spec": spec,
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    )


KINDS = {
    "ServiceMonitor": _kind(
        "ServiceMonitor",
        _object(
            {
                "endpoints": _list(ENDPOINT),
                "jobLabel": TEXT,
                "namespaceSelector": _object({"any": {"type": "boolean"}, "matchNames": _list(TEXT)}),
                "podTargetLabels": _list(TEXT),
                "sampleLimit": {"type": "integer"},
                "selector": SELECTOR,
                "targetLabels": _list(TEXT),
            },
            "endpoints",
            "selector",
        ),
    ),
    "PrometheusRule": _kind(
        "PrometheusRule",
        _object(
            {
                "groups": _list(
                    _object(
                        {
                            "name": {"type": "string", "minLength": 1},
                            "interval": LASTS,
                            "limit": {"type": "integer"},
                            "labels": TEXTS,
                            "query_offset": LASTS,
                            "rules": _list(RULE),
                        },
                        "name",
                    )
                )
            }
        ),
    ),
}
