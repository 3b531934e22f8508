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

    An account is the ARN of its role, which goes into the common `Manifest`, or it has a whole
    manifest of its own.

    Raises:
        Failure: The property is malformed; all faults are named.
    """
    given = properties.get("ServiceAccounts", {})
    if not isinstance(given, dict):
        raise Failure(f"ServiceAccounts must be a map, got {given!r}; key it by namespace/name")
    faults: list[str] = []
    bindings = {
        key: _binding(key, _whole(key, entry, properties), faults) for key, entry in given.items()
    }
    if faults:
        raise Failure("; ".join(faults))
    return {key: binding for key, binding in bindings.items() if binding}


def tolerated_bindings_of(properties: Mapping[str, Any]) -> dict[str, Binding]:
    """The sound bindings of properties that may be malformed: those of a failed attempt."""
    given = properties.get("ServiceAccounts", {})
    if not isinstance(given, dict):
        return {}
    bindings = {
        key: _binding(key, _whole(key, entry, properties), []) for key, entry in given.items()
    }
    return {key: binding for key, binding in bindings.items() if binding}


def _binding(key: str, entry: object, faults: list[str]) -> Binding | None:
    found: list[str] = []
    where = f"ServiceAccounts[{key!r}]"
    entry = entry if isinstance(entry, dict) else {}
    namespace, _, name = key.partition("/")
    metadata = _map(_map(entry.get("Manifest")).get("metadata"))
    ownership = entry.get("Ownership")
    restart = tuple(str(target) for target in entry.get("Restart") or ())
    if (metadata.get("namespace"), metadata.get("name")) != (namespace, name):
        found.append(
            f"{where}.Manifest must be of {key}, got "
            f"{metadata.get('namespace')}/{metadata.get('name')}; use the same name twice"
        )
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
    return Binding(
        namespace=namespace,
        name=name,
        ownership=str(ownership),
        labels=_strings(metadata.get("labels")),
        annotations=_strings(metadata.get("annotations")),
        restart=restart,
        force=entry.get("Force") == "true",
        create_namespace=entry.get("CreateNamespace") == "true",
    )


def _names_a_workload(target: str) -> bool:
    kind, _, name = target.partition("/")
    return kind in KINDS and bool(name)


def _whole(key: str, entry: object, properties: Mapping[str, Any]) -> object:
    """The entry with the common manifest filled in, if it is but a role."""
    if not isinstance(entry, str):
        return entry
    namespace, _, name = key.partition("/")
    common = _map(properties.get("Manifest"))
    metadata = _map(common.get("metadata"))
    annotations = {**_map(metadata.get("annotations")), ROLE_ARN_ANNOTATION: entry}
    own = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"Ownership": CREATE, "Manifest": {**common, "metadata": {**metadata, **own}}}


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in _map(value).items()}
