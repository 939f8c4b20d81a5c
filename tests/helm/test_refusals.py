"""Values that cannot be meant are refused when templates are rendered, with what to write instead; and that works."""

from typing import Any, NamedTuple

import pytest

from tests.helm.charting import RefusedError, merged, template, values_of

Change = dict[str, Any]


class Mistake(NamedTuple):
    """Values that cannot be meant."""

    change: Change
    """What is put over the values."""
    said: str
    """What helm must say of it."""
    mended: Change
    """What is put over that, as it was told."""
    base: str = "minimal"


def main(**what: Any) -> Change:  # noqa: ANN401 - a value is anything
    """Return a change of the one cluster."""
    return {"clusters": {"main": what}}


AGENT_API = {"agent_api": ["https://web1/agc/api.php"], "agent_api_user": "hotdesk"}
PASSWORD = {"agent_api_password": {"existingSecret": "main"}}
SASL = {"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "hotdesk"}
KAFKA = {"existingSecret": "kafka"}
SCRAPED = {"enabled": True, "secrets": {"token": {"existingSecret": "scraping"}}}

MISTAKES = {
    "no image": Mistake(
        {"image": {"repository": ""}},
        "image.repository is empty, and there is no public image: build the Containerfile, push it, and write its name",
        {"image": {"repository": "registry.example/hotdesk"}},
    ),
    "several processes without Kafka": Mistake(
        {"log": {"settings": {"bootstrap": []}}},
        'need one log: write log.settings.bootstrap: ["kafka1:9092"], or layout: single',
        {"log": {"settings": {"bootstrap": ["kafka1:9092"]}}},
    ),
    "several processes without Kafka, after all one": Mistake(
        {"log": {"settings": {"bootstrap": []}}}, "or layout: single for one process", {"layout": "single"}
    ),
    "one process with Kafka": Mistake(
        {"log": {"settings": {"bootstrap": ["kafka1:9092"]}}},
        "layout is single, whose log is a file, and log.settings.bootstrap names Kafka brokers",
        {"layout": "roles"},
        base="single",
    ),
    "a login to Kafka without a password": Mistake(
        {"log": {"settings": SASL}},
        "security_protocol is SASL_SSL, and log.secrets.sasl_password.existingSecret is empty: set it, or write"
        " security_protocol: SSL",
        {"log": {"secrets": {"sasl_password": KAFKA}}},
    ),
    "a login to Kafka without a name": Mistake(
        {"log": {"settings": SASL | {"sasl_username": ""}, "secrets": {"sasl_password": KAFKA}}},
        "log.settings.sasl_username is empty",
        {"log": {"settings": {"sasl_username": "hotdesk"}}},
    ),
    "a login to Kafka that takes none": Mistake(
        {"log": {"secrets": {"sasl_password": KAFKA}}},
        "log.settings.security_protocol is PLAINTEXT, which has no passwords: write security_protocol: SASL_PLAINTEXT",
        {"log": {"secrets": {"sasl_password": {"existingSecret": ""}}}},
    ),
    "TLS to Kafka that has none": Mistake(
        {"log": {"secrets": {"tls_ca": KAFKA}}},
        "log.secrets.tls_ca is set, and log.settings.security_protocol is PLAINTEXT, which has no TLS: write"
        " security_protocol: SSL",
        {"log": {"settings": {"security_protocol": "SSL"}}},
    ),
    "a certificate without a key": Mistake(
        {"log": {"settings": {"security_protocol": "SSL"}, "secrets": {"tls_cert": KAFKA}}},
        "log.secrets.tls_cert is set without log.secrets.tls_key: a certificate and its key go together",
        {"log": {"secrets": {"tls_key": KAFKA}}},
    ),
    "no tokens": Mistake(
        {"api": {"secrets": {"tokens": {"existingSecret": ""}}}},
        "kubectl create secret generic hotdesk-tokens --from-file=tokens=FILE",
        {"api": {"secrets": {"tokens": {"existingSecret": "hotdesk-tokens"}}}},
    ),
    "a test with every token": Mistake(
        {"api": {"secrets": {"test_token": {"key": "tokens"}}}},
        "the same key tokens of one Secret, and helm test must not have the tokens that give orders",
        {"api": {"secrets": {"test_token": {"key": "read"}}}},
    ),
    "collectors with every token": Mistake(
        {"api": {"secrets": {"collect_tokens": {"key": "tokens"}}}},
        "the same key tokens of one Secret, and collectors must not have the tokens that give orders",
        {"api": {"secrets": {"collect_tokens": {"key": "collect"}}}},
    ),
    "sources that are not checked": Mistake(
        {"service": {"loadBalancerSourceRanges": ["192.0.2.0/24"]}},
        "service.type is ClusterIP, which does not check source addresses: write service.type: LoadBalancer",
        {"service": {"type": "LoadBalancer"}},
    ),
    "a node's port without one": Mistake(
        {"service": {"nodePort": 30470}}, "write service.type: NodePort", {"service": {"type": "NodePort"}}
    ),
    "no cluster": Mistake(
        {"clusters": None},
        "clusters is empty, so there is nothing to collect from: write clusters: {main:",
        main(settings={"host": "10.0.0.5"}, secrets={"password": {"existingSecret": "main-database"}}),
    ),
    "no database": Mistake(
        main(settings={"host": ""}),
        "clusters.main.settings.host is empty, and no database answers within the pod",
        main(settings={"host": "10.0.0.5"}),
    ),
    "a database within the pod": Mistake(
        main(settings={"host": "localhost"}),
        "clusters.main.settings.host is localhost, and no database answers within the pod",
        main(settings={"host": "10.0.0.5"}),
    ),
    "host and port in one": Mistake(
        main(settings={"host": "10.0.0.5:3307"}),
        "write the port separately, in clusters.main.settings.port",
        main(settings={"host": "10.0.0.5", "port": 3307}),
    ),
    "a cluster without a password": Mistake(
        main(secrets={"password": {"existingSecret": ""}}),
        "clusters.main.secrets.password.existingSecret is empty: kubectl create secret generic main-database",
        main(secrets={"password": {"existingSecret": "main-database"}}),
    ),
    "a password in the values": Mistake(
        main(settings={"password": "hunter2hunter2"}),
        "clusters.main.settings.password: the values contain no secrets and no files: put it into a Secret, and write"
        " clusters.main.secrets.password.existingSecret",
        main(settings={"password": None}),
    ),
    "a file in the values": Mistake(
        main(settings={"ami_secret_file": "/etc/hotdesk/ami"}),
        "write clusters.main.secrets.ami_secret.existingSecret",
        main(settings={"ami_secret_file": None}),
    ),
    "a socket": Mistake(
        main(settings={"socket": "/run/mysqld/mysqld.sock"}),
        "a pod cannot reach a socket of the database's machine: write clusters.main.settings.host",
        main(settings={"socket": None}),
    ),
    "AMI without its secret": Mistake(
        main(settings={"ami_user": "hotdesk"}),
        "write clusters.main.secrets.ami_secret.existingSecret, or leave out ami_user",
        main(secrets={"ami_secret": {"existingSecret": "main"}}),
    ),
    "AMI without its user": Mistake(
        main(secrets={"ami_secret": {"existingSecret": "main"}}),
        "clusters.main.secrets.ami_secret is set without an account: write clusters.main.settings.ami_user",
        main(settings={"ami_user": "hotdesk"}),
    ),
    "acting by nothing": Mistake(
        main(settings={"mode": "act", "relogin_via": "api"}),
        "clusters.main.settings.relogin_via is api, and agent_api is not set: write clusters.main.settings.agent_api:"
        ' ["https://web1/agc/api.php"], and its account, or relogin_via: sql, or mode: advise',
        main(settings={"relogin_via": "sql"}),
    ),
    "acting by no account": Mistake(
        main(settings={"mode": "act"} | AGENT_API),
        "clusters.main.secrets.agent_api_password.existingSecret, or relogin_via: sql",
        main(secrets=PASSWORD),
    ),
    "acting by two ways": Mistake(
        main(settings={"mode": "act", "relogin_via": "sql"} | AGENT_API, secrets=PASSWORD),
        "clusters.main.settings.relogin_via is sql, and an agent API is set that is not used",
        main(settings={"relogin_via": "api"}),
    ),
    "acting by an account without a password": Mistake(
        main(settings={"mode": "act", "relogin_via": "sql"}, actAs={"user": "actor"}),
        "write clusters.main.actAs.password.existingSecret",
        main(actAs={"password": {"existingSecret": "main"}}),
    ),
    "acting by a password without an account": Mistake(
        main(settings={"mode": "act", "relogin_via": "sql"}, actAs={"password": {"existingSecret": "main"}}),
        "clusters.main.actAs.password is set without an account: write clusters.main.actAs.user",
        main(actAs={"user": "actor"}),
    ),
    "an account for acting, and no acting": Mistake(
        main(actAs={"user": "actor", "password": {"existingSecret": "main"}}),
        "clusters.main.actAs is set, and nothing acts: write clusters.main.settings.mode: act",
        main(settings={"mode": "act", "relogin_via": "sql"}),
    ),
    "two accounts of one process": Mistake(
        main(actAs={"user": "actor", "password": {"existingSecret": "main"}}),
        "clusters.main.actAs: with layout single one process reads and acts, by one account: leave out actAs",
        main(actAs=None),
        base="single",
    ),
    "a collector of one process": Mistake(
        main(collector="all"),
        "clusters.main.collector: with layout single one process reads every cluster: leave it out",
        main(collector=""),
        base="single",
    ),
    "more owners than there is to own": Mistake(
        {"control": {"replicas": 25}}, "write control.replicas: 24 at most", {"control": {"replicas": 24}}
    ),
    "a claim that is not used": Mistake(
        {"single": {"persistence": {"enabled": False, "existingClaim": "mine"}}},
        "write enabled: true, or leave out the claim",
        {"single": {"persistence": {"enabled": True}}},
        base="single",
    ),
    "root": Mistake(
        {"podSecurity": {"runAsUser": 0}},
        "no pod of this chart runs as root: write another user",
        {"podSecurity": {"runAsUser": 65532}},
    ),
    "scraping without a token": Mistake(
        {"monitoring": {"serviceMonitor": {"enabled": True}}},
        "write monitoring.serviceMonitor.secrets.token.existingSecret",
        {"monitoring": {"serviceMonitor": SCRAPED}},
    ),
    "scraping for longer than until the next time": Mistake(
        {"monitoring": {"serviceMonitor": SCRAPED | {"scrapeTimeout": "3s"}}},
        "scrapeTimeout is 3s, longer than the interval, which Prometheus refuses: write 2s at most",
        {"monitoring": {"serviceMonitor": {"scrapeTimeout": "2s"}}},
    ),
    "scraping too seldom for the rules": Mistake(
        {"monitoring": {"serviceMonitor": SCRAPED | {"interval": "15s"}, "prometheusRule": {"enabled": True}}},
        "interval is 15s, and above 5s some of the alerts fire falsely: write 5s or less",
        {"monitoring": {"serviceMonitor": {"interval": "5s"}}},
    ),
    "labels of the chart's own": Mistake(
        {"commonLabels": {"app.kubernetes.io/name": "mine"}},
        "commonLabels has app.kubernetes.io/name, by which the chart selects its own pods",
        {"commonLabels": {"app.kubernetes.io/name": None, "name": "mine"}},
    ),
    "a label twice": Mistake(
        {"commonLabels": {"team": "voice"}, "serve": {"podLabels": {"team": "web"}}},
        "serve.podLabels and commonLabels both have team: leave one out",
        {"serve": {"podLabels": None}},
    ),
    "another chart's replicas": Mistake(
        {"replicaCount": 3},
        "replicaCount is no value of this chart: write collect.replicas, control.replicas and serve.replicas",
        {"replicaCount": None, "serve": {"replicas": 3}},
    ),
    "another chart's Kafka": Mistake(
        {"kafka": {"brokers": "kafka1:9092"}},
        "kafka is no value of this chart: write log.settings.bootstrap",
        {"kafka": None},
    ),
    "another chart's ingress": Mistake(
        {"ingress": {"enabled": True}}, "ingress is no value of this chart: write service.type", {"ingress": None}
    ),
    "another chart's monitor": Mistake(
        {"serviceMonitor": {"enabled": True}}, "write monitoring.serviceMonitor", {"serviceMonitor": None}
    ),
    "another chart's rules": Mistake(
        {"prometheusRule": {"enabled": True}}, "write monitoring.prometheusRule", {"prometheusRule": None}
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_what_contradicts_itself_is_refused_with_what_to_write_instead(mistake: Mistake) -> None:
    values = merged(values_of(mistake.base), mistake.change)
    with pytest.raises(RefusedError) as refused:
        template(values)
    said = str(refused.value).rpartition("Error: ")[2]
    assert mistake.said in said, said
    assert said.count("\n- ") == 1, "nothing else is wrong"
    assert template(merged(values, mistake.mended)).objects


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(RefusedError) as refused:
        template({})
    said = str(refused.value).rpartition("Error: ")[2]
    for part in ("image.repository", "log.settings.bootstrap", "api.secrets.tokens", "clusters is empty"):
        assert f"\n- {part}" in said


FORMS = {
    "a value that there is not": ({"replicas": 2}, "additional properties 'replicas' not allowed"),
    "a setting that there is not": (main(settings={"max_agent": 3}), "additional properties 'max_agent' not allowed"),
    "a text for a number": (main(settings={"port": "3306"}), "got string, want integer"),
    "a mode that there is not": (main(settings={"mode": "watch"}), "value must be one of 'advise', 'act'"),
    "a broker without a port": ({"log": {"settings": {"bootstrap": ["kafka1"]}}}, "does not match pattern"),
    "a name that hotdesk refuses": ({"clusters": {"Main": {}}}, "'Main' does not match pattern"),
    "a layout that there is not": ({"layout": "many"}, "value must be one of 'roles', 'single'"),
    "no replicas": ({"serve": {"replicas": 0}}, "minimum: got 0, want 1"),
    "a budget that allows no eviction": ({"serve": {"podDisruptionBudget": {"maxUnavailable": 0}}}, "want 1"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "does not match pattern"),
    "a token in place of a Secret's name": (
        {"api": {"secrets": {"tokens": {"existingSecret": "read aaaaaaaaaaaaaaaaaaa"}}}},
        "does not match pattern",
    ),
}


@pytest.mark.parametrize(("change", "said"), FORMS.values(), ids=FORMS)
def test_what_has_the_wrong_form_is_refused_by_the_schema(change: Change, said: str) -> None:
    with pytest.raises(RefusedError, match="values don't meet the specifications") as refused:
        template(merged(values_of("minimal"), change))
    assert said in str(refused.value)
