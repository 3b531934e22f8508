"""What short environment files hold, and how tests change it."""

import copy
from typing import Any

NEW: dict[str, Any] = {
    "service_type": "payments",
    "environment": "test",
    "cluster": {"new": {"version": "1.36", "vpc": {"cidr": "10.0.0.0/16"}}},
    "nodes": [{"name": "general", "instance_types": ["m7i.large"]}],
    "service_accounts": [{"namespace": "apps", "name": "api"}],
}
EXISTING: dict[str, Any] = {
    "service_type": "orders",
    "environment": "test",
    "cluster": {
        "existing": {
            "name": "orders-test",
            "version": "1.29",
            "issuer_url": "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
            "endpoint": "https://0123456789ABCDEF.gr7.eu-west-1.eks.amazonaws.com",
            "certificate_authority_data": "LS0tLS1CRUdJTi==",
        }
    },
}
ABSENT = object()


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of *base* with values put at places such as `nodes.0.name`."""
    document = copy.deepcopy(base)
    for place, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        target: Any = document
        for part in parents:
            target = target[part] if isinstance(target, list) else target.setdefault(part, {})
        if value is ABSENT:
            del target[last]
        elif isinstance(target, list) and last == len(target):
            target.append(value)
        else:
            target[last] = value
    return document
