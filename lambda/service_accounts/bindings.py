"""The function's properties as typed values: which accounts are to be bound, and how. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from custom_resource import Failure
from kubernetes_api.shared_keys import ROLE_ARN_ANNOTATION
from service_accounts.binding import ADOPT, CREATE, Binding

if TYPE_CHECKING:
    from collections.abc import Mapping

# What may be restarted, and the resource that it is.
KINDS = {
    "deployment": "deployments",
    "statefulset": "statefulsets",
    "daemonset": "daemonsets",
}
ALL_CONSUMERS = "*"


def bindings_of(properties: Mapping[str, Any]) -> dict[str, Binding]:
    """The bindings that the `ServiceAccounts` property asks for, by `<namespace>/<name>`.

    An account is the ARN of its role, or a map of `Role` and of what is special: `Ownership`,
    `Labels`, `Annotations`, `Restart`, `Force`, `CreateNamespace`. An account that we make also has
    what the common `Manifest` says.

    Raises:
        Failure: The property is malformed; all faults are named.
    """
    given = properties.get("ServiceAccounts", {})
    if not isinstance(given, dict):
        raise Failure(f"ServiceAccounts must be a map, got {given!r}; key it by namespace/name")
    faults: list[str] = []
    common = _common(properties)
    bindings = {key: _binding(key, entry, common, faults) for key, entry in given.items()}
    if faults:
        raise Failure("; ".join(faults))
    return {key: binding for key, binding in bindings.items() if binding}


def tolerated_bindings_of(properties: Mapping[str, Any]) -> dict[str, Binding]:
    """The sound bindings of properties that may be malformed: those of a failed attempt."""
    given = properties.get("ServiceAccounts", {})
    if not isinstance(given, dict):
        return {}
    common = _common(properties)
    bindings = {key: _binding(key, entry, common, []) for key, entry in given.items()}
    return {key: binding for key, binding in bindings.items() if binding}


def _binding(
    key: str, entry: object, common: Mapping[str, Any], faults: list[str]
) -> Binding | None:
    found: list[str] = []
    where = f"ServiceAccounts[{key!r}]"
    entry = {"Role": entry} if isinstance(entry, str) else _map(entry)
    namespace, _, name = key.partition("/")
    role, ownership = entry.get("Role"), entry.get("Ownership", CREATE)
    restart = tuple(str(target) for target in entry.get("Restart") or ())
    if not (namespace and name):
        found.append(f"{where} must be keyed by namespace/name, got {key!r}; correct it")
    if not (isinstance(role, str) and role):
        found.append(f"{where}.Role must be the ARN of a role, got {role!r}; correct it")
    if ownership not in (CREATE, ADOPT):
        found.append(
            f"{where}.Ownership must be CREATE or ADOPT, got {ownership!r}; leave out accounts "
            "that others bind"
        )
    found += [
        f"{where}.Restart must name <kind>/<name> or *, got {target!r}; kinds are deployment, "
        "statefulset and daemonset"
        for target in restart
        if target != ALL_CONSUMERS and not _names_a_workload(target)
    ]
    faults += found
    if found:
        return None
    common = common if ownership == CREATE else {}
    return Binding(
        namespace=namespace,
        name=name,
        ownership=str(ownership),
        labels=_strings({**_map(common.get("labels")), **_map(entry.get("Labels"))}),
        annotations=_strings(
            {
                **_map(common.get("annotations")),
                **_map(entry.get("Annotations")),
                ROLE_ARN_ANNOTATION: role,
            }
        ),
        restart=restart,
        force=entry.get("Force") == "true",
        create_namespace=entry.get("CreateNamespace") == "true",
    )


def _names_a_workload(target: str) -> bool:
    kind, _, name = target.partition("/")
    return kind in KINDS and bool(name)


def _common(properties: Mapping[str, Any]) -> dict[str, Any]:
    return _map(_map(properties.get("Manifest")).get("metadata"))


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in _map(value).items()}
