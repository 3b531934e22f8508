"""cni-metrics-helper: publishes the metrics of the VPC CNI.

See: https://github.com/aws/amazon-vpc-cni-k8s/blob/master/cmd/cni-metrics-helper/README.md
"""

from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class CniMetricsHelper(ControllerSpec):
    """Publishes the metrics of the VPC CNI to CloudWatch, in the namespace `Kubernetes` only.

    Examples:
        >>> from irsa_stack.controllers import CniMetricsHelper
        >>> CniMetricsHelper().service_account
        'cni-metrics-helper'
    """

    upstream = Upstream(
        policy="https://github.com/aws/amazon-vpc-cni-k8s/blob/master/cmd/cni-metrics-helper/README.md",
        version="v1.23.1",
        released="2026-08-20",
        minimum="v1.11.0",
        because="takes the cluster's name from AWS_CLUSTER_ID instead of instance metadata",
        chart="cni-metrics-helper",
        repository="https://aws.github.io/eks-charts",
        chart_version="1.22.4",
    )
    service_account = "cni-metrics-helper"
    wildcards = {"PublishMetrics": "CloudWatch has no resource level for it; one namespace only"}

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        # https://github.com/aws/amazon-vpc-cni-k8s/blob/master/pkg/publisher/publisher.go
        namespace = {"StringEquals": {"cloudwatch:namespace": "Kubernetes"}}
        publish = allow("PublishMetrics", ["cloudwatch:PutMetricData"], ["*"], namespace)
        return {"CniMetricsHelper": [publish]}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        return {"env": {"USE_CLOUDWATCH": "true", "AWS_CLUSTER_ID": cluster.name}}
