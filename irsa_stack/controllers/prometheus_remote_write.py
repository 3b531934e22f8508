"""Writes metrics into workspaces of Amazon Managed Service for Prometheus, and reads none.

See: https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-and-IAM.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irsa_stack.controllers.scopes import ROLE, WORKSPACE, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class PrometheusRemoteWrite(ControllerSpec):
    """Writes metrics into workspaces of Amazon Managed Service for Prometheus, and reads none.

    Others give one role for both, to writers and readers alike.

    Examples:
        >>> from irsa_stack.controllers import PrometheusRemoteWrite
        >>> metrics = PrometheusRemoteWrite(
        ...     workspaces=["arn:aws:aps:eu-west-1:111122223333:workspace/ws-0a1b"]
        ... )
    """

    workspaces: Sequence[str] = ()
    """ARNs of the workspaces."""
    assume_roles: Sequence[str] = ()
    """ARNs of the roles that hold workspaces of other AWS accounts. Default: none."""

    upstream = Upstream(
        policy="https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-and-IAM.html",
        version="v3.4.1",
        released="2025-05-31",
        minimum="v2.26.0",
        because="signs its requests with SigV4",
        chart="prometheus",
        repository="https://prometheus-community.github.io/helm-charts",
        chart_version="27.19.0",
    )
    namespace = "prometheus"
    service_account = "amp-ingest"
    chart_path = "serviceAccounts.server"

    def faults(self) -> Iterator[str]:
        yield from list_faults(
            self.workspaces, WORKSPACE, of="workspaces", required=not self.assume_roles
        )
        yield from list_faults(self.assume_roles, ROLE, of="assume_roles")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        statements = []
        if self.workspaces:
            actions = ["aps:RemoteWrite"]
            statements.append(allow("WriteMetrics", actions, self.workspaces))
        if self.assume_roles:
            statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], self.assume_roles))
        return {"PrometheusRemoteWrite": statements}
