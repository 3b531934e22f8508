"""AWS Node Termination Handler, from a queue: drains nodes of one cluster before they go.

See: https://github.com/aws/aws-node-termination-handler/blob/v1.25.6/README.md
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from irsa_stack.controllers.scopes import KEY, QUEUE, list_faults
from irsa_stack.controllers.spec import Cluster, ControllerSpec
from irsa_stack.controllers.statements import Location, Statement, allow, owned_by, use_keys
from irsa_stack.controllers.upstream import Upstream


@dataclass(frozen=True, kw_only=True)
class NodeTerminationHandler(ControllerSpec):
    """Drains the nodes of one cluster that a queue tells of; not needed beside Karpenter.

    Upstream's policy reaches every queue and every Auto Scaling group, and has two actions that the
    handler has not called since v1.17.3.

    Examples:
        >>> from irsa_stack.controllers import NodeTerminationHandler
        >>> handler = NodeTerminationHandler(
        ...     queue="arn:aws:sqs:eu-west-1:111122223333:payments-prod"
        ... )
    """

    queue: str = ""
    """ARN of the queue that it reads."""
    kms_keys: Sequence[str] = ()
    """ARN of the key that the queue is encrypted with. Default: none, or SQS's own."""
    heartbeats: bool = False
    """Whether it holds a lifecycle hook open while it drains."""

    upstream = Upstream(
        policy="https://github.com/aws/aws-node-termination-handler/blob/v1.25.6/README.md",
        version="v1.25.6",
        released="2026-04-02",
        minimum="v1.17.3",
        because="finds the group of an instance without autoscaling:DescribeTags",
        chart="aws-node-termination-handler",
        repository="oci://public.ecr.aws/aws-ec2/helm",
        chart_version="0.27.6",
    )
    service_account = "aws-node-termination-handler"
    wildcards = {
        "DescribeNodes": "EC2 describes these on no resource level; nothing is written",
        "DescribeHooks": "Auto Scaling describes these on no resource level; nothing is written",
        "EndLifecycle": "groups come and go; only those of this cluster",
    }

    def faults(self) -> Iterator[str]:
        yield from QUEUE.faults(self.queue, of="queue")
        yield from list_faults(self.kms_keys, KEY, of="kms_keys")

    def statements(self, cluster: Cluster, location: Location) -> dict[str, list[Statement]]:
        groups = [location.arn("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")]
        beat = ["autoscaling:RecordLifecycleActionHeartbeat"] if self.heartbeats else []
        statements = [
            allow("ReadQueue", ["sqs:DeleteMessage", "sqs:ReceiveMessage"], [self.queue]),
            allow("DescribeNodes", ["ec2:DescribeInstances"], ["*"]),
            allow(
                "EndLifecycle",
                ["autoscaling:CompleteLifecycleAction", *beat],
                groups,
                {"StringEquals": owned_by(cluster.name)},
            ),
        ]
        if self.heartbeats:
            hooks = ["autoscaling:DescribeLifecycleHooks"]
            statements.append(allow("DescribeHooks", hooks, ["*"]))
        keys = use_keys(location, self.kms_keys, ["Decrypt"], service="sqs")
        return {"NodeTerminationHandler": [*statements, *keys]}

    def chart_values(self, cluster: Cluster, location: Location) -> dict[str, Any]:
        region, aws_account, name = self.queue.split(":")[-3:]
        suffix = "amazonaws.com.cn" if location.is_china else "amazonaws.com"
        return {
            "enableSqsTerminationDraining": True,
            "queueURL": f"https://sqs.{region}.{suffix}/{aws_account}/{name}",
            "awsRegion": location.region,
        }
