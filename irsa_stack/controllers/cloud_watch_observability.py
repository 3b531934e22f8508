"""CloudWatch observability: the agent and Fluent Bit of one cluster, which share a service account.

See: https://github.com/aws-observability/helm-charts/tree/main/charts/amazon-cloudwatch-observability
"""

from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow
from irsa_stack.controllers.upstream import Upstream

NAMESPACES = ("ApplicationSignals", "CWAgent", "ContainerInsights", "ContainerInsights/Prometheus")


@dataclass(frozen=True, kw_only=True)
class CloudWatchObservability(ControllerSpec):
    """Publishes metrics, logs and traces of one cluster.

    AWS's `CloudWatchAgentServerPolicy` writes every log group and every namespace of metrics. The
    chart has no value for annotations, so the service account that it or the EKS add-on makes is
    adopted.

    Examples:
        >>> from irsa_stack.controllers import CloudWatchObservability
        >>> CloudWatchObservability(traces=False).chart_annotates
        False
    """

    create_log_groups: bool = True
    """Whether it makes the log groups of the cluster and sets their retention."""
    application_signals: bool = True
    """Whether Application Signals is on, with a log group that all clusters share."""
    traces: bool = True
    """Whether it sends traces to X-Ray."""

    upstream = Upstream(
        policy="https://docs.aws.amazon.com/aws-managed-policy/latest/reference/CloudWatchAgentServerPolicy.html",
        version="6.4.0",
        released="2026-07-21",
        minimum="3.1.0",
        because="runs one agent for metrics, logs and traces",
        chart="amazon-cloudwatch-observability",
        repository="https://aws-observability.github.io/helm-charts",
        chart_version="6.4.0",
    )
    namespace = "amazon-cloudwatch"
    service_account = "cloudwatch-agent"
    chart_path = "agent.serviceAccount"
    chart_annotates = False
    addon = "amazon-cloudwatch-observability"
    wildcards = {
        "PublishMetrics": "CloudWatch has no resource level for it; its own namespaces only",
        "FindLogGroups": "CloudWatch Logs lists on no resource level; nothing is written",
        "DescribeNode": "EC2 describes these on no resource level; nothing is written",
        "MakeLogGroups": "log groups of this cluster, one for each kind of log",
        "FindStreams": "log groups of this cluster, one for each kind of log",
        "WriteLogs": "streams are named after nodes; only in the log groups of this cluster",
        "SendTraces": "X-Ray has no resource level for it; traces only",
    }

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        names = [f"/aws/containerinsights/{cluster.name}/*"]
        if self.application_signals:
            names.append("/aws/application-signals/data")
        groups = [location.arn("logs", f"log-group:{name}") for name in names]
        namespaces = [one for one in NAMESPACES if self.application_signals or "Signals" not in one]
        published = {"StringEquals": {"cloudwatch:namespace": namespaces}}
        write = ["logs:CreateLogStream", "logs:PutLogEvents"]
        statements = [
            allow("PublishMetrics", ["cloudwatch:PutMetricData"], ["*"], published),
            allow("FindLogGroups", ["logs:DescribeLogGroups"], ["*"]),
            allow("DescribeNode", ["ec2:DescribeTags", "ec2:DescribeVolumes"], ["*"]),
            allow("FindStreams", ["logs:DescribeLogStreams"], groups),
            allow("WriteLogs", write, [f"{group}:log-stream:*" for group in groups]),
        ]
        if self.create_log_groups:
            make = ["logs:CreateLogGroup", "logs:PutRetentionPolicy"]
            statements.append(allow("MakeLogGroups", make, groups))
        if self.traces:
            send = [
                "xray:GetSamplingRules",
                "xray:GetSamplingStatisticSummaries",
                "xray:GetSamplingTargets",
                "xray:PutTelemetryRecords",
                "xray:PutTraceSegments",
            ]
            statements.append(allow("SendTraces", send, ["*"]))
        return {"CloudWatchObservability": statements}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        return {"clusterName": cluster.name, "region": location.region}
