"""Reads metrics of workspaces of Amazon Managed Service for Prometheus, and writes none.

See: https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-and-IAM.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irsa_stack.controllers.scopes import ROLE, WORKSPACE, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class PrometheusQuery(ControllerSpec):
    """Reads metrics of workspaces of Amazon Managed Service for Prometheus, and writes none.

    Others give one role for both, to writers and readers alike.

    Examples:
        >>> from irsa_stack.controllers import PrometheusQuery
        >>> metrics = PrometheusQuery(
        ...     workspaces=["arn:aws:aps:eu-west-1:111122223333:workspace/ws-0a1b"]
        ... )
    """

    workspaces: Sequence[str] = ()
    """ARNs of the workspaces."""
    assume_roles: Sequence[str] = ()
    """ARNs of the roles that hold workspaces of other AWS accounts. Default: none."""

    upstream = Upstream(
        policy="https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-and-IAM.html",
        version="v10.0.1",
        released="2023-06-22",
        minimum="v7.3.0",
        because="signs its requests with SigV4",
        chart="grafana",
        repository="https://grafana.github.io/helm-charts",
        chart_version="6.57.5",
    )
    namespace = "grafana"
    service_account = "grafana"
    chart_path = "serviceAccount"

    def faults(self) -> Iterator[str]:
        yield from list_faults(
            self.workspaces, WORKSPACE, of="workspaces", required=not self.assume_roles
        )
        yield from list_faults(self.assume_roles, ROLE, of="assume_roles")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        statements = []
        if self.workspaces:
            actions = [
                "aps:GetLabels",
                "aps:GetMetricMetadata",
                "aps:GetSeries",
                "aps:QueryMetrics",
            ]
            statements.append(allow("ReadMetrics", actions, self.workspaces))
        if self.assume_roles:
            statements.append(allow("ReachOtherAccounts", ["sts:AssumeRole"], self.assume_roles))
        return {"PrometheusQuery": statements}
