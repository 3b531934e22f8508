"""What may be asked of a service account, by whose object it is."""

import re
from collections.abc import Iterator, Mapping, Sequence

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.faults import no_list_faults

_APPLIED = ("CREATE", "ADOPT")
_WORKLOAD = re.compile(r"\*|(?:deployment|daemonset|statefulset)/[a-z0-9.-]+")


def binding_faults(
    ownership: str,
    *,
    force: bool = False,
    create_namespace: bool = False,
    restart: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Say what cannot be done to a service account of *ownership*."""
    if force and ownership != "ADOPT":
        yield f"force must go with ADOPT, got {ownership}; remove it"
    applied = ownership in _APPLIED
    if create_namespace and not applied:
        yield f"create_namespace must go with CREATE or ADOPT, got {ownership}; remove it"
    if restart and not applied:
        yield f"restart must go with CREATE or ADOPT, got {ownership}; the chart restarts its own"
    if labels and not applied:
        yield f"labels must go with CREATE or ADOPT, got {ownership}; give them to the chart"
    if annotations and ownership == "NONE":
        yield f"annotations must go with CREATE, ADOPT or HELM, got {ownership}; remove them"
    yield from restart_faults(restart)


def restart_faults(restart: Sequence[str]) -> Iterator[str]:
    """Say what of *restart* names no workload."""
    if faults := no_list_faults(restart, of="restart"):
        yield from faults
        return
    for workload in restart:
        if not (is_deploy_time(workload) or _WORKLOAD.fullmatch(f"{workload}")):
            yield (
                "restart must name workloads such as 'deployment/api', 'daemonset/agent',"
                f" 'statefulset/db' or '*', got {workload!r}; correct it"
            )
