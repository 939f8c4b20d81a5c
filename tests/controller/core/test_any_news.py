"""Whatever records a log holds, in whatever order: folding, judging and showing them never fails."""

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from controller.api.orders import incidents_of
from controller.core.clusters import Clusters
from controller.core.explanations import explain
from controller.page.view import cluster_page
from controller.runtime.metrics import ClusterGauges
from messages.codec import encode
from messages.records import AnyRecord, Poll
from tests.support.builders import CLUSTER, PARTITIONS
from tests.support.strategies import ANY_RECORD, struct_of

RECORDS = st.lists(
    (ANY_RECORD | struct_of(Poll)).map(lambda record: msgspec.structs.replace(record, cluster=CLUSTER)), max_size=8
)


@given(RECORDS, st.booleans())
def test_any_records_are_folded_judged_and_shown(records: list[AnyRecord], owned: bool) -> None:
    clusters = Clusters("me", "http://me", PARTITIONS, {})
    clusters.own(frozenset(range(PARTITIONS)) if owned else frozenset())
    for now, record in enumerate(records):
        clusters.fold([record], float(now), live=True)
    asyncio.run(ClusterGauges(clusters).text())
    for view in clusters.by_name.values():
        encode(clusters.snapshot(view))
        explain(view.state, view.policy, view.decisions, "1", stale=False)
        cluster_page(view.state, clusters.snapshot(view), incidents_of(view), view.decisions, stale=False, acts=False)
