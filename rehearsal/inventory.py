"""Everything that exists in an account and its cluster, through the public APIs."""

from collections.abc import Callable, Iterable
from typing import Any

from rehearsal.account import Account

Inventory = dict[str, list[str]]


def inventory(made: Account) -> Inventory:
    """Return the names of all that exists, by kind."""
    ec2, eks, iam = made.client("ec2"), made.client("eks"), made.client("iam")
    found: dict[str, Iterable[str]] = {
        "stacks": names(made.client("cloudformation").describe_stacks, "Stacks", "StackName"),
        "roles": names(iam.list_roles, "Roles", "RoleName"),
        "policies": names(iam.list_policies, "Policies", "Arn", Scope="Local"),
        "OIDC providers": names(
            iam.list_open_id_connect_providers, "OpenIDConnectProviderList", "Arn"
        ),
        "functions": names(made.client("lambda").list_functions, "Functions", "FunctionName"),
        "layers": names(made.client("lambda").list_layers, "Layers", "LayerName"),
        "log groups": names(made.client("logs").describe_log_groups, "logGroups", "logGroupName"),
        "parameters": names(made.client("ssm").describe_parameters, "Parameters", "Name"),
        "buckets": names(made.client("s3").list_buckets, "Buckets", "Name"),
        "state machines": names(
            made.client("stepfunctions").list_state_machines, "stateMachines", "name"
        ),
        "VPCs": names(ec2.describe_vpcs, "Vpcs", "VpcId"),
        "subnets": names(ec2.describe_subnets, "Subnets", "SubnetId"),
        "route tables": names(ec2.describe_route_tables, "RouteTables", "RouteTableId"),
        "internet gateways": names(
            ec2.describe_internet_gateways, "InternetGateways", "InternetGatewayId"
        ),
        "security groups": names(ec2.describe_security_groups, "SecurityGroups", "GroupId"),
        "addresses": names(ec2.describe_addresses, "Addresses", "AllocationId"),
        "flow logs": names(ec2.describe_flow_logs, "FlowLogs", "FlowLogId"),
        "network interfaces": names(
            ec2.describe_network_interfaces, "NetworkInterfaces", "NetworkInterfaceId"
        ),
        "launch templates": names(
            ec2.describe_launch_templates, "LaunchTemplates", "LaunchTemplateId"
        ),
        "NAT gateways": [
            gateway["NatGatewayId"]
            for gateway in ec2.describe_nat_gateways()["NatGateways"]
            if gateway["State"] != "deleted"
        ],
    }
    for cluster in eks.list_clusters()["clusters"]:
        found[f"cluster {cluster}"] = [
            *(f"node group {name}" for name in _of(eks.list_nodegroups, "nodegroups", cluster)),
            *(f"add-on {name}" for name in _of(eks.list_addons, "addons", cluster)),
            *(f"entry {arn}" for arn in _of(eks.list_access_entries, "accessEntries", cluster)),
        ]
    if made.kubernetes is not None:
        columns = "--output=custom-columns=:kind,:metadata.namespace,:metadata.name"
        kinds = "namespaces,serviceaccounts,configmaps,clusterrolebindings,rolebindings,daemonsets"
        rows = made.kubernetes.kubectl("get", kinds, "--all-namespaces", "--no-headers", columns)
        found["Kubernetes objects"] = [" ".join(row.split()) for row in rows.splitlines() if row]
    return {kind: sorted(found[kind]) for kind in sorted(found)}


def added(before: Inventory, after: Inventory) -> Inventory:
    """Return what *after* has and *before* has not."""
    new = {kind: sorted(set(after[kind]) - set(before.get(kind, []))) for kind in after}
    return {kind: found for kind, found in new.items() if found}


def names(action: Callable[..., Any], items: str, key: str, **options: Any) -> list[str]:
    """Return one attribute of all items that an action lists."""
    return [item[key] for item in action(**options)[items]]


def _of(action: Callable[..., Any], items: str, cluster: str) -> list[str]:
    listed: list[str] = action(clusterName=cluster)[items]
    return listed
