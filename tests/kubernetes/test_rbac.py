import pytest
import yaml

from irsa_stack.kubernetes.rbac import (
    aws_node_rules,
    binder_rules,
    group_faults,
    group_manifests,
)
from tests.support.templates import REPOSITORY

ACCOUNTS = {
    "apiGroups": [""],
    "resources": ["serviceaccounts"],
    "verbs": ["get", "list", "create", "patch", "delete"],
}


def verbs(rules, resource, name="any"):
    """What may be done to one object."""
    return {
        verb
        for rule in rules
        if resource in rule["resources"] and name in rule.get("resourceNames", [name])
        for verb in rule["verbs"]
    }


def test_without_restarts_the_binder_meets_service_accounts_only():
    assert binder_rules([]) == [ACCOUNTS]


def test_the_binder_patches_the_workloads_that_it_restarts_by_name():
    rules = binder_rules(["deployment/api", "statefulset/db"])
    assert verbs(rules, "deployments", "api") == {"get", "list", "patch"}
    assert verbs(rules, "statefulsets", "db") == {"get", "list", "patch"}
    assert verbs(rules, "deployments", "db") == {"list"}
    assert verbs(rules, "daemonsets") == {"list"}
    assert verbs(rules, "poddisruptionbudgets") == {"list"}


def test_the_binder_patches_every_workload_with_a_star():
    rules = binder_rules(["deployment/api", "*"])
    for kind in ("deployments", "statefulsets", "daemonsets"):
        assert verbs(rules, kind) == {"get", "list", "patch"}


@pytest.mark.parametrize("rules", [binder_rules(["*"]), aws_node_rules()])
@pytest.mark.parametrize("verb", ["impersonate", "escalate", "bind", "update", "*"])
def test_no_function_may(rules, verb):
    assert all(verb not in rule["verbs"] for rule in rules)


@pytest.mark.parametrize("resource", ["secrets", "pods/exec", "serviceaccounts/token", "*"])
def test_no_function_reaches(resource):
    assert not verbs([*binder_rules(["*"]), *aws_node_rules()], resource)


def test_aws_nodes_function_meets_aws_node_only():
    assert verbs(aws_node_rules(), "daemonsets", "aws-node") == {"get", "patch"}
    assert verbs(aws_node_rules(), "serviceaccounts", "aws-node") == {"get", "patch"}
    assert not verbs(aws_node_rules(), "daemonsets", "kube-proxy")
    assert verbs(aws_node_rules(), "pods") == {"list"}


def test_the_page_shows_what_a_group_may_do():
    page = (REPOSITORY / "docs" / "binder.md").read_text()
    shown = [*yaml.safe_load_all(page.partition("```yaml\n")[2].partition("```")[0])]
    binder = group_manifests("irsa-stack:binder", {"orders": binder_rules(["deployment/worker"])})
    aws_node = group_manifests("irsa-stack:aws-node", {"kube-system": aws_node_rules()})
    assert shown == [*binder, *aws_node]


@pytest.mark.parametrize("group", ["ab", "irsa-stack", "irsa-stack:1", "a" * 63])
def test_takes_a_group(group):
    assert not list(group_faults(group, of="kubernetes_group"))


@pytest.mark.parametrize(
    ("group", "rule"),
    [
        ("", "2-63 letters"),
        ("a", "2-63 letters"),
        ("a" * 64, "2-63 letters"),
        ("team a", "2-63 letters"),
        ("irsa-stack\n", "2-63 letters"),
        (7, "2-63 letters"),
        ("system:masters", "must not start with 'system:'"),
    ],
)
def test_refuses_what_is_no_group(group, rule):
    [fault] = group_faults(group, of="kubernetes_group")
    assert rule in fault
