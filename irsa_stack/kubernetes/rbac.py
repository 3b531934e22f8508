"""The least that the functions need in Kubernetes, as RBAC of a group.

See: https://kubernetes.io/docs/reference/access-authn-authz/rbac/
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Rule = dict[str, list[str]]

_API_GROUP = "rbac.authorization.k8s.io"
_KINDS = ("deployments", "statefulsets", "daemonsets")
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,61}[A-Za-z0-9]")


def binder_rules(restart: Iterable[str]) -> list[Rule]:
    """Return what the binder does in a namespace.

    Args:
        restart: the workloads that it restarts there, such as `deployment/api`, or `*` for all.
    """
    restart = set(restart)
    rules = [_rule("", ["serviceaccounts"], ["get", "list", "create", "patch", "delete"])]
    if not restart:
        return rules
    rules += [
        _rule("apps", _KINDS, ["list"]),
        _rule("policy", ["poddisruptionbudgets"], ["list"]),
    ]
    if "*" in restart:
        return [*rules, _rule("apps", _KINDS, ["get", "patch"])]
    for kind in _KINDS:
        prefix = kind.removesuffix("s") + "/"
        names = sorted(one.removeprefix(prefix) for one in restart if one.startswith(prefix))
        if names:
            rules.append(_rule("apps", [kind], ["get", "patch"], names))
    return rules


def aws_node_rules() -> list[Rule]:
    """Return what the function of `AwsNodeRebinding` does in `kube-system`.

    It may not create pods, and does without the dry run that asks the pod identity webhook.
    """
    return [
        _rule("", ["serviceaccounts"], ["get", "patch"], ["aws-node"]),
        _rule("apps", ["daemonsets"], ["get", "patch"], ["aws-node"]),
        _rule("", ["pods"], ["list"]),
    ]


def group_manifests(group: str, rules: Mapping[str, list[Rule]]) -> Iterator[dict[str, Any]]:
    """Return a Role and its RoleBinding to *group* in each namespace, under the group's name.

    Args:
        group: the Kubernetes group.
        rules: what it may do, by namespace.
    """
    for namespace, allowed in sorted(rules.items()):
        metadata = {"name": group, "namespace": namespace}
        version = {"apiVersion": f"{_API_GROUP}/v1"}
        yield {**version, "kind": "Role", "metadata": metadata, "rules": allowed}
        yield {
            **version,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": _API_GROUP, "kind": "Role", "name": group},
            "subjects": [{"apiGroup": _API_GROUP, "kind": "Group", "name": group}],
        }


def group_faults(group: object, *, of: str) -> Iterator[str]:
    """Say why EKS or Kubernetes would not take *group*, the property *of*, as a group's name."""
    if not isinstance(group, str) or not _GROUP.fullmatch(group):
        yield (
            f"{of} must be 2-63 letters, digits, ':', '.', '_' and '-', starting and ending with a"
            f" letter or digit, got {group!r}; such as 'irsa-stack'"
        )
    elif group.startswith("system:"):
        # https://github.com/terraform-aws-modules/terraform-aws-eks/issues/2915
        yield f"{of} must not start with 'system:', got {group!r}; EKS refuses it, choose another"


def _rule(
    api_group: str, resources: Iterable[str], verbs: list[str], names: Iterable[str] = ()
) -> Rule:
    rule = {"apiGroups": [api_group], "resources": list(resources), "verbs": verbs}
    return {**rule, "resourceNames": list(names)} if names else rule
