"""What a user relies on of the pods: who finds whom, what they may, what they are given, and how they are watched."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.helm.charting import FOLDER, MATRIX, Workload, merged, rendered, selects, template, values_of

each_values = pytest.mark.parametrize("name", [path.stem for path in MATRIX])

ROLES = ("collect", "control", "serve", "run")
HOST_NAME = 63
"""Longest that a pod's host name may be; what is beyond is cut off."""
POD_SUFFIX = len("-0123456789-abcde")
"""What a Deployment adds to its name for a pod's."""


def everyone(name: str) -> list[Workload]:
    """Return everything that runs pods, with at least something among them."""
    found = rendered(name).workloads()
    assert found
    return found


@each_values
def test_selectors_find_their_own_pods_and_no_others(name: str) -> None:
    of = rendered(name)
    pods = {each.name: each for each in of.workloads()}
    for each in of.of("Deployment"):
        found = {other for other, pod in pods.items() if selects(each["spec"]["selector"], pod.labels)}
        assert found == {each["metadata"]["name"]}
    answering = {each.name for each in of.workloads("serve", "run")}
    for each in of.of("Service"):
        selector = {"matchLabels": each["spec"]["selector"]}
        found = {other for other, pod in pods.items() if selects(selector, pod.labels)}
        headless = each["spec"].get("clusterIP") == "None"
        assert found == ({other for other, pod in pods.items() if pod.component in ROLES} if headless else answering)
        for workload in (pods[other] for other in found):
            assert each["spec"]["ports"][0]["targetPort"] in {port["name"] for port in workload.container["ports"]}


def test_each_cluster_has_a_collector_and_they_may_share_one() -> None:
    assert [each.name for each in rendered("minimal").workloads("collect")] == ["desk-hotdesk-collect-main"]
    of = rendered("one-collector")
    shared = next(each for each in of.workloads("collect") if each.name.endswith("collect-all"))
    for cluster in ("north", "south", "east"):
        assert f"[clusters.{cluster}]" in of.settings(shared)
        assert ("databases", cluster) in shared.secrets()
    assert len(of.workloads("collect")) == 2
    assert ("databases", "west") not in shared.secrets()


@each_values
def test_a_pods_name_is_never_cut_off_where_two_of_them_differ(name: str) -> None:
    for each in rendered(name).of("Deployment"):
        assert len(each["metadata"]["name"]) + POD_SUFFIX <= HOST_NAME


def test_names_of_any_length_stay_apart_and_whole() -> None:
    long = "a-very-long-name-for-a-cluster-of-dialers-in-the-"
    names = [*(f"{long}{end}" for end in ("east", "west")), *("c" * length for length in range(1, 64, 2))]
    cluster = {"settings": {"host": "10.0.0.5"}, "secrets": {"password": {"existingSecret": "main"}}}
    of = template(merged(values_of("minimal"), {"clusters": None}, {"clusters": dict.fromkeys(names, cluster)}))
    made = {each["metadata"]["name"] for each in of.of("Deployment")}
    assert len(made) == len(names) + 2
    assert max(map(len, made)) + POD_SUFFIX <= HOST_NAME


@each_values
def test_every_pod_is_as_restricted_as_kubernetes_knows(name: str) -> None:
    """The restricted profile of the Pod Security Standards, and a root that is read only."""
    for each in everyone(name):
        pod: Mapping[str, Any] = each.spec["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod.get("runAsUser", 1) != 0
        assert each.spec["automountServiceAccountToken"] is False
        assert each.spec["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers"} & each.spec.keys()
        for container in each.spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            # a processor's limit would hold a process back just when much happens
            assert container["resources"]["limits"].keys() == {"memory"}
            assert all("hostPort" not in port for port in container.get("ports", ()))
        kinds = {kind for volume in each.spec.get("volumes", ()) for kind in volume if kind != "name"}
        assert kinds <= {"projected", "emptyDir", "persistentVolumeClaim"}


def test_users_and_groups_are_the_values_or_the_clusters_own_choice() -> None:
    for each in everyone("everything"):
        assert {key: each.spec["securityContext"][key] for key in ("runAsUser", "runAsGroup", "fsGroup")} == {
            "runAsUser": 1000,
            "runAsGroup": 1001,
            "fsGroup": 1002,
        }
    for each in everyone("openshift"):
        assert each.spec["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}


@each_values
def test_secrets_are_files_that_only_the_group_reads_and_never_variables(name: str) -> None:
    values = values_of(name)
    for each in everyone(name):
        for volume in each.spec.get("volumes", ()):
            if "projected" in volume:
                assert volume["projected"]["defaultMode"] == 0o440
                # a process that lacks one must not begin without it
                assert all(
                    "optional" not in one for source in volume["projected"]["sources"] for one in source.values()
                )
        for container in each.spec["containers"]:
            assert "envFrom" not in container
            for variable in container.get("env", ()):
                assert variable.get("valueFrom", {"fieldRef": {}}).keys() == {"fieldRef"}
            for mount in container.get("volumeMounts", ()):
                if mount["mountPath"] == FOLDER:
                    assert mount["readOnly"] is True
                else:
                    assert mount["mountPath"] == "/var/lib/hotdesk"
    # nothing but names of Secrets is in the values, so nothing else can be in what was rendered
    assert not rendered(name).of("Secret")
    assert "password:" not in str(values["clusters"]).replace("'password': {", "")


def test_each_role_is_given_the_secrets_it_needs_and_no_others() -> None:
    of = rendered("everything")
    kafka = {("kafka", "secret"), ("kafka-tls", "ca.crt"), ("kafka-tls", "tls.crt"), ("kafka-tls", "tls.key")}
    everywhere = kafka | {("api", "token-file")}
    west = next(each for each in of.workloads("collect") if each.labels["hotdesk/collector"] == "west")
    east = next(each for each in of.workloads("collect") if each.labels["hotdesk/collector"] == "east")
    collecting = kafka | {("metrics", "read")}
    assert west.secrets() == collecting | {("west", "reader"), ("west", "ami"), ("west-ca", "ca.crt")}
    assert east.secrets() == collecting | {("east", "password")}
    acting = {("west", "actor"), ("west-ca", "ca.crt"), ("west", "agent-api-password")}
    assert of.workload("control").secrets() == everywhere | acting
    assert of.workload("serve").secrets() == everywhere
    assert of.workload("test").secrets("api") == {("metrics", "read-only")}
    assert of.workload("test").secrets("topics") == kafka
    assert of.workload("test").secrets() == kafka | {("metrics", "read-only")}
    assert of.workload("topics").secrets() == kafka
    assert rendered("minimal").workload("control").secrets() == {("hotdesk-tokens", "tokens")}
    by_default = rendered("minimal").workloads("collect")[0].secrets()
    assert {(secret, key) for secret, key in by_default if secret == "hotdesk-tokens"} == {
        ("hotdesk-tokens", "collect")
    }
    assert rendered("minimal").workload("topics").secrets() == set()
    for name in ("minimal", "single"):
        assert rendered(name).workload("test").secrets() == {("hotdesk-tokens", "read")}


def test_budgets_let_one_go_and_never_wait_for_who_is_not_ready() -> None:
    of = rendered("minimal")
    budgets = {each["metadata"]["name"]: each["spec"] for each in of.of("PodDisruptionBudget")}
    deployments = {each["metadata"]["name"]: each["spec"] for each in of.of("Deployment")}
    assert budgets.keys() == deployments.keys()
    for name, budget in budgets.items():
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
        assert budget["selector"] == deployments[name]["selector"]
        assert deployments[name]["replicas"] == 2
    assert rendered("openshift").of("PodDisruptionBudget") == []
    assert rendered("single").of("PodDisruptionBudget") == []


def test_pods_of_a_role_are_spread_over_nodes_and_zones() -> None:
    for name, how in (("minimal", "ScheduleAnyway"), ("everything", "DoNotSchedule")):
        for each in rendered(name).workloads("collect"):
            spread = each.spec["topologySpreadConstraints"]
            assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
            for one in spread:
                assert one["whenUnsatisfiable"] == how
                assert selects(one["labelSelector"], each.labels)
                assert one["matchLabelKeys"] == ["pod-template-hash"]
    assert "topologySpreadConstraints" not in rendered("openshift").workloads("collect")[0].spec


def test_what_is_said_of_a_role_is_said_of_its_pods() -> None:
    of = rendered("everything")
    for each in of.workloads("collect"):
        assert each.spec["nodeSelector"] == {"disk": "ssd"}
        assert each.spec["tolerations"][0]["key"] == "dedicated"
        assert "podAntiAffinity" in each.spec["affinity"]
        assert each.spec["priorityClassName"] == "high"
        assert each.labels["role"] == "eyes"
        assert each.labels["team"] == "voice"
    for deployment in of.of("Deployment"):
        template_of = deployment["spec"]["template"]
        collects = template_of["metadata"]["labels"]["app.kubernetes.io/component"] == "collect"
        assert template_of["metadata"]["annotations"].get("example/note") == ("1" if collects else None)
    assert "nodeAffinity" in of.workload("control").spec["affinity"]
    assert {each.spec["serviceAccountName"] for each in of.workloads(*ROLES)} == {"hotdesk-pods"}
    assert {each.spec["serviceAccountName"] for each in rendered("forgetful").workloads(*ROLES)} == {"default"}


def test_images_are_pinned_as_the_values_say() -> None:
    of = rendered("everything")
    digest = f"@sha256:{'1' * 64}"
    assert of.workload("serve").container["image"] == f"registry.example/hotdesk:1.2.3{digest}"
    # another tag of a role is another image, so the digest of all is not its own
    assert {each.container["image"] for each in of.workloads("collect")} == {"registry.example/hotdesk:1.2.2"}
    assert {each.container["imagePullPolicy"] for each in of.workloads(*ROLES)} == {"Always"}
    assert rendered("forgetful").workload("run").container["image"] == f"registry.example/hotdesk@sha256:{'2' * 64}"
    assert all(each.spec["imagePullSecrets"] == [{"name": "registry"}] for each in of.workloads())


def _path(workload: Workload, probe: str) -> str:
    found: str = workload.container[probe]["httpGet"]["path"]
    return found


def _seconds(workload: Workload, probe: str) -> int:
    of = workload.container[probe]
    seconds: int = of["periodSeconds"] * of["failureThreshold"]
    return seconds


@each_values
def test_probes_mean_something(name: str) -> None:
    for each in rendered(name).workloads(*ROLES):
        # a process is started anew only when it does not answer at all, and not at once
        assert _path(each, "livenessProbe") == "/healthz"
        assert _seconds(each, "livenessProbe") == 60
        if each.component in {"serve", "run"}:
            # nobody is sent to one that has not read the log; nobody is sent away from one while Kafka is
            assert _path(each, "startupProbe") == "/readyz"
            assert _seconds(each, "startupProbe") == 3600
            assert _path(each, "readinessProbe") == "/healthz"
            assert each.container["lifecycle"]["preStop"] == {"sleep": {"seconds": 5}}
            assert each.spec["terminationGracePeriodSeconds"] > 5 + 5
        else:
            assert _path(each, "startupProbe") == "/healthz"
            assert _path(each, "readinessProbe") == "/readyz"
        assert _seconds(each, "readinessProbe") == 6
        for probe in ("livenessProbe", "startupProbe", "readinessProbe"):
            assert each.container[probe]["httpGet"]["port"] == "http"


def test_the_new_ones_come_before_the_old_ones_go_but_for_who_owns_a_file() -> None:
    for each in rendered("minimal").of("Deployment"):
        assert each["spec"]["strategy"] == {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        }
    (single,) = rendered("single").of("Deployment")
    assert single["spec"]["strategy"] == {"type": "Recreate"}
    assert single["spec"]["replicas"] == 1


def test_other_settings_are_other_pods_and_only_where_they_are_read() -> None:
    def marks(**settings: object) -> dict[str, str]:
        of = template(merged(values_of("minimal"), {"clusters": {"main": {"settings": settings}}}))
        return {
            each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"][
                "metadata"
            ]["annotations"]["hotdesk/settings"]
            for each in of.of("Deployment")
        }

    before = marks()
    assert {role for role, mark in marks(max_agents=40).items() if mark != before[role]} == {"control", "serve"}
    assert {role for role, mark in marks(user="other").items() if mark != before[role]} == {"collect"}


def test_the_topics_are_created_before_anything_needs_them() -> None:
    job = rendered("minimal").get("Job", "desk-hotdesk-topics")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    # nothing of the chart's is there yet: no account, no ConfigMap
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]
    assert {kind for kind, *_ in rendered("everything").workload("topics").sources()} == {"secret"}
    assert rendered("openshift").of("Job") == []
    assert rendered("single").of("Job") == []


def test_one_process_keeps_its_log_where_the_values_say() -> None:
    of = rendered("single")
    (claim,) = of.of("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    run = of.workload("run")
    volumes = {each["name"]: each for each in run.spec["volumes"]}
    assert volumes["log"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert {each["mountPath"] for each in run.container["volumeMounts"]} == {FOLDER, "/var/lib/hotdesk"}
    assert rendered("forgetful").of("PersistentVolumeClaim") == []
    mine = template(merged(values_of("single"), {"single": {"persistence": {"existingClaim": "mine"}}}))
    assert mine.of("PersistentVolumeClaim") == []
    assert "'claimName': 'mine'" in str(mine.workload("run").spec)


def test_the_service_is_what_the_values_say() -> None:
    service = rendered("everything").get("Service", "call-center")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["loadBalancerSourceRanges"] == ["192.0.2.0/24"]
    assert service["spec"]["ports"] == [
        {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "nodePort": 30080}
    ]
    assert service["metadata"]["annotations"] == {"example/internal": "true"}
    (plain,) = rendered("minimal").of("Service")
    assert plain["spec"]["type"] == "ClusterIP"


@each_values
def test_the_account_may_nothing(name: str) -> None:
    for account in rendered(name).of("ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    assert not any(each["apiVersion"].startswith("rbac.") for each in rendered(name).objects)
