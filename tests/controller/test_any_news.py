"""Whatever records a log holds, in whatever order: folding, judging and showing them never fails."""

import asyncio

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from controller.desk import Desk
from controller.explaining import explain
from controller.instruments import ClusterGauges
from controller.ordering import incidents_of
from controller.page.contents import cluster_page
from messages.codec import encode
from messages.records import AnyRecord, Poll
from tests.anything import ANY_RECORD, struct_of
from tests.making import CLUSTER, PARTITIONS

RECORDS = st.lists(
    (ANY_RECORD | struct_of(Poll)).map(lambda record: msgspec.structs.replace(record, cluster=CLUSTER)), max_size=8
)


@given(RECORDS, st.booleans())
def test_any_records_are_folded_judged_and_shown(records: list[AnyRecord], owned: bool) -> None:
    desk = Desk("me", "http://me", PARTITIONS, {})
    desk.own(frozenset(range(PARTITIONS)) if owned else frozenset())
    for now, record in enumerate(records):
        desk.fold([record], float(now), live=True)
    asyncio.run(ClusterGauges(desk).text())
    for view in desk.clusters.values():
        encode(desk.snapshot(view))
        explain(view.state, view.policy, view.decisions, "1", stale=False)
        cluster_page(view.state, desk.snapshot(view), incidents_of(view), view.decisions, stale=False, acts=False)
