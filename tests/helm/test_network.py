"""The network policies let through what hotdesk needs, and nothing else: asked as a cluster's network would decide."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

import pytest

from tests.helm.charting import NAMESPACE, Rendered, Workload, rendered, selects

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


class Pod(NamedTuple):
    """A pod somewhere in the Kubernetes cluster."""

    labels: Mapping[str, str]
    namespace: str = NAMESPACE


Peer = Pod | str
"""A pod, or the address of something outside."""
Port = tuple[str, int]

PROMETHEUS = Pod({"app": "prometheus"}, "monitoring")
STRANGER = Pod({"app": "web"}, "shop")


def _is(peer: Peer, rule: Mapping[str, Any]) -> bool:
    if "ipBlock" in rule:
        block = rule["ipBlock"]
        return (
            isinstance(peer, str)
            and ip_address(peer) in ip_network(block["cidr"])
            and not any(ip_address(peer) in ip_network(each) for each in block.get("except", ()))
        )
    if isinstance(peer, str):
        return False
    spaces = rule.get("namespaceSelector")
    there = peer.namespace == NAMESPACE if spaces is None else selects(spaces, {NAMESPACE_LABEL: peer.namespace})
    return there and selects(rule.get("podSelector", {}), peer.labels)


def allowed(of: Rendered, pod: Workload, way: str, peer: Peer, port: Port) -> bool:
    """Return True if a pod may reach a peer (`egress`), or be reached by one (`ingress`)."""
    policies = [each["spec"] for each in of.of("NetworkPolicy") if selects(each["spec"]["podSelector"], pod.labels)]
    assert len(policies) == 1, "each pod has one policy"
    (policy,) = policies
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    peers = {"ingress": "from", "egress": "to"}[way]
    for rule in policy[way]:
        ports = {(each["protocol"], each["port"]) for each in rule["ports"]}
        assert ports, "no rule is without ports"
        if port in ports and (peers not in rule or any(_is(peer, each) for each in rule[peers])):
            return True
    return False


def may(of: Rendered, pod: Workload, peer: Peer, port: Port) -> bool:
    return allowed(of, pod, "egress", peer, port)


def pod(workload: Workload) -> Pod:
    return Pod(workload.labels)


def collector(of: Rendered, name: str) -> Workload:
    return next(each for each in of.workloads("collect") if each.labels["hotdesk/collector"] == name)


EVERYTHING = "everything"
BROKER = "198.51.100.7"
API: Port = ("TCP", 9470)


def test_everybody_reaches_names_and_kafka_and_no_more() -> None:
    of = rendered(EVERYTHING)
    for each in of.workloads():
        for dns in (53, 5353):
            assert may(of, each, "10.96.0.10", ("UDP", dns))
            assert may(of, each, "10.96.0.10", ("TCP", dns))
        for port in (9093, 9094, 9095):
            assert may(of, each, BROKER, ("TCP", port))
            assert not may(of, each, "203.0.113.1", ("TCP", port)), "only where the brokers are"
        for port in (22, 80, 443, 6443):
            assert not may(of, each, "203.0.113.1", ("TCP", port)) or (each.component, port) == ("control", 443)


def test_a_collector_reaches_its_own_database_and_dialers() -> None:
    of = rendered(EVERYTHING)
    west, east = collector(of, "west"), collector(of, "east")
    assert may(of, west, "10.0.0.5", ("TCP", 3307))
    assert not may(of, west, "10.0.0.6", ("TCP", 3307))
    # a name is no address: any may be its
    assert may(of, east, "203.0.113.9", ("TCP", 3306))
    assert not may(of, west, "203.0.113.9", ("TCP", 3306))
    for port in (("TCP", 5040), ("TCP", 5039), ("UDP", 5062), ("UDP", 5061)):
        assert may(of, west, "192.168.0.11", port)
        assert not may(of, west, "203.0.113.9", port)
        assert not may(of, east, "192.168.0.11", port)


def test_only_who_acts_reaches_database_and_agent_api_to_act() -> None:
    of = rendered(EVERYTHING)
    control, serve = of.workload("control"), of.workload("serve")
    assert may(of, control, "10.0.0.5", ("TCP", 3307))
    assert may(of, control, "203.0.113.80", ("TCP", 443)), "web1, whatever its address is"
    assert may(of, control, "10.0.0.9", ("TCP", 8080))
    assert not may(of, control, "10.0.0.8", ("TCP", 8080))
    for port in (("TCP", 3307), ("TCP", 3306), ("TCP", 443), ("TCP", 8080)):
        assert not may(of, serve, "10.0.0.5", port)
    advised = rendered("one-collector").workload("control")
    assert may(rendered("one-collector"), advised, "10.0.3.5", ("TCP", 3306)), "east acts"
    assert not may(rendered("one-collector"), advised, "10.0.1.5", ("TCP", 3306)), "north is advised"
    six = rendered("openshift")
    assert may(six, six.workload("control"), "2001:db8::9", ("TCP", 443))
    assert may(six, six.workload("control"), "2001:db8::5", ("TCP", 3306))
    assert not may(six, six.workload("control"), "2001:db8::6", ("TCP", 3306))


def test_replicas_reach_owners_and_not_the_other_way() -> None:
    of = rendered(EVERYTHING)
    serve, control = of.workload("serve"), of.workload("control")
    assert may(of, serve, pod(control), API)
    assert allowed(of, control, "ingress", pod(serve), API)
    assert not may(of, control, pod(serve), API)
    for each in of.workloads("collect"):
        assert not may(of, each, pod(control), API)
        assert not may(of, serve, pod(each), API)


def test_the_api_is_asked_by_whom_the_values_name() -> None:
    of = rendered(EVERYTHING)
    serve = of.workload("serve")
    assert allowed(of, serve, "ingress", "192.0.2.10", API)
    assert not allowed(of, serve, "ingress", "192.0.2.200", API), "excepted"
    assert not allowed(of, serve, "ingress", STRANGER, API)
    test = of.workload("test")
    assert allowed(of, serve, "ingress", pod(test), API)
    assert may(of, test, pod(serve), API)
    single = rendered("single")
    for asking in (STRANGER, "192.0.2.10", pod(single.workload("test"))):
        assert allowed(single, single.workload("run"), "ingress", asking, ("TCP", 8470)), "everybody, by default"


@pytest.mark.parametrize("component", ["collect", "control", "serve"])
def test_every_process_is_scraped_by_whom_the_values_name(component: str) -> None:
    of = rendered(EVERYTHING)
    for each in of.workloads(component):
        assert allowed(of, each, "ingress", PROMETHEUS, API)
        assert not allowed(of, each, "ingress", STRANGER, API)
    usual = rendered("one-collector")
    for each in usual.workloads(component):
        assert allowed(usual, each, "ingress", PROMETHEUS, ("TCP", 8470))


def test_nobody_asks_jobs_and_tests_anything() -> None:
    of = rendered(EVERYTHING)
    for each in of.workloads("topics", "test"):
        assert not allowed(of, each, "ingress", PROMETHEUS, API)


def test_a_hooks_policy_comes_before_its_pod_and_goes_with_it() -> None:
    of = rendered(EVERYTHING)
    for each in of.workloads("topics", "test"):
        owner = next(one for one in of.objects if one["metadata"]["name"] == each.name and one["kind"] == each.kind)
        policy = of.get("NetworkPolicy", each.name)
        hook, before = owner["metadata"]["annotations"], policy["metadata"]["annotations"]
        assert before["helm.sh/hook"] == hook["helm.sh/hook"]
        assert int(before["helm.sh/hook-weight"]) < int(hook.get("helm.sh/hook-weight", 0))
        assert before["helm.sh/hook-delete-policy"] == hook["helm.sh/hook-delete-policy"]


def test_one_process_needs_no_kafka_and_reaches_the_rest() -> None:
    of = rendered("single")
    run = of.workload("run")
    assert may(of, run, "10.0.0.5", ("TCP", 3306))
    assert may(of, run, "10.0.0.99", ("TCP", 5038))
    assert not may(of, run, BROKER, ("TCP", 9092))


def test_there_are_none_unless_asked_for() -> None:
    assert rendered("minimal").of("NetworkPolicy") == []
