"""The CloudFormation resource types that ministack lacks and our stacks need.

To add one, write its `create`, `update` and `delete` on top of the service's own actions and give
it a line in `TYPES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch_logs, lambda_svc
from ministack.services.cloudformation import provisioners

from rehearsal.emulator import eks_types, iam_types, network_types, oidc_providers
from rehearsal.emulator.service_actions import ActionRefused


@dataclass(frozen=True, kw_only=True)
class ResourceType:
    """How the stack engine handles a type.

    Args:
        create: takes logical id, properties and stack name; returns the physical id, which is
            `Ref`, and the attributes of `Fn::GetAtt`.
        delete: takes the physical id and the properties.
        update: takes the physical id, old and new properties and stack name. Default: any change
            replaces the resource.
        replaced_by: properties whose change replaces the resource.
        tagged: whether it takes tags, as a list, and gets the stack's.
    """

    create: Callable[..., Any]
    delete: Callable[..., None]
    update: Callable[..., Any] | None = None
    replaced_by: tuple[str, ...] = ()
    tagged: bool = True

    @property
    def handlers(self) -> dict[str, Callable[..., Any]]:
        """The engine's table of handlers."""
        updating = {} if self.update is None else {"update": self.update}
        return {"create": self.create, "delete": self.delete, **updating}


TYPES = {
    "AWS::IAM::OIDCProvider": ResourceType(
        create=oidc_providers.create,
        update=oidc_providers.update,
        delete=oidc_providers.delete,
        replaced_by=("Url",),
    ),
    "AWS::IAM::RolePolicy": ResourceType(
        create=iam_types.create_role_policy,
        update=iam_types.update_role_policy,
        delete=iam_types.delete_role_policy,
        replaced_by=("PolicyName", "RoleName"),
        tagged=False,
    ),
    "AWS::EKS::AccessEntry": ResourceType(
        create=eks_types.create_access_entry,
        update=eks_types.update_access_entry,
        delete=eks_types.delete_access_entry,
        replaced_by=("ClusterName", "PrincipalArn", "Type"),
    ),
    "AWS::EKS::Addon": ResourceType(
        create=eks_types.create_addon,
        update=eks_types.update_addon,
        delete=eks_types.delete_addon,
        replaced_by=("ClusterName", "AddonName"),
    ),
    "AWS::EKS::PodIdentityAssociation": ResourceType(
        create=eks_types.create_pod_identity,
        update=eks_types.update_pod_identity,
        delete=eks_types.delete_pod_identity,
        replaced_by=("ClusterName", "Namespace", "ServiceAccount"),
    ),
    "AWS::EC2::EIP": ResourceType(
        create=network_types.create_address,
        delete=network_types.delete_address,
        replaced_by=("Domain", "NetworkBorderGroup", "Address"),
    ),
    # No property of a flow log but its tags can change.
    "AWS::EC2::FlowLog": ResourceType(
        create=network_types.create_flow_log,
        delete=network_types.delete_flow_log,
        replaced_by=("ResourceId", "ResourceType", "TrafficType", "LogGroupName"),
    ),
    "AWS::EC2::NatGateway": ResourceType(
        create=network_types.create_nat_gateway,
        delete=network_types.delete_nat_gateway,
        replaced_by=("SubnetId", "AllocationId", "ConnectivityType"),
    ),
    "AWS::EC2::SecurityGroupIngress": ResourceType(
        create=network_types.create_ingress,
        delete=network_types.delete_ingress,
        replaced_by=("GroupId", "SourceSecurityGroupId", "IpProtocol", "FromPort", "ToPort"),
        tagged=False,
    ),
}


_create_log_group = provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]["create"]


def create_log_group(logical_id: str, properties: dict[str, Any], stack: str) -> Any:
    """Create a log group; ministack would take over one that is there."""
    name = properties.get("LogGroupName")
    if name in cloudwatch_logs._log_groups:
        raise ActionRefused(
            f"Resource of type 'AWS::Logs::LogGroup' with identifier '{name}' already exists."
            " (HandlerErrorCode: AlreadyExists)"
        )
    return _create_log_group(logical_id, properties, stack)


_emit_lambda_logs = lambda_svc._emit_lambda_logs


def emit_lambda_logs(function: dict[str, Any], *arguments: Any, **named: Any) -> None:
    """Write a function's log; its role may not make a group that is gone, as ministack would.

    See: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-loggroups.html
    """
    config = function.get("config") or function
    group = (config.get("LoggingConfig") or {}).get("LogGroup")
    if group is None or group in cloudwatch_logs._log_groups:
        _emit_lambda_logs(function, *arguments, **named)


def install() -> None:
    """Register the types with the stack engine, and the IAM actions that belong to them."""
    for name, resource_type in TYPES.items():
        provisioners._RESOURCE_HANDLERS[name] = resource_type.handlers
        provisioners._REPLACING_PROPERTIES[name] = resource_type.replaced_by
        if resource_type.tagged:
            provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "list")
    provisioners._RESOURCE_HANDLERS["AWS::Logs::LogGroup"]["create"] = create_log_group
    lambda_svc._emit_lambda_logs = emit_lambda_logs
    oidc_providers.install_actions()
