"""`AWS::EC2::EIP`, `NatGateway`, `FlowLog` and `SecurityGroupIngress`.

They are records, as the rest of the emulated network.
"""

from typing import Any

from ministack.services import ec2

from rehearsal.emulator.service_actions import query_action

Record = dict[str, Any]
Made = tuple[str, Record]


def create_address(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Allocate an elastic IP address."""
    answer = query_action(
        "Ec2",
        ec2._ACTION_MAP["AllocateAddress"],
        Domain=properties.get("Domain", "vpc"),
        **_tags("elastic-ip", properties),
    )
    address = str(answer.findtext(".//publicIp"))
    return address, {
        "AllocationId": answer.findtext(".//allocationId"),
        "PublicIp": address,
    }


def delete_address(address: str, _properties: Record) -> None:
    """Release an address if it is still there."""
    for allocation, record in list(ec2._addresses.items()):
        if record["PublicIp"] == address:
            query_action("Ec2", ec2._ACTION_MAP["ReleaseAddress"], AllocationId=allocation)


def create_nat_gateway(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Create a NAT gateway."""
    answer = query_action(
        "Ec2",
        ec2._ACTION_MAP["CreateNatGateway"],
        SubnetId=properties["SubnetId"],
        AllocationId=properties.get("AllocationId"),
        ConnectivityType=properties.get("ConnectivityType", "public"),
        **_tags("natgateway", properties),
    )
    gateway = str(answer.findtext(".//natGatewayId"))
    return gateway, {"NatGatewayId": gateway}


def delete_nat_gateway(gateway: str, _properties: Record) -> None:
    """Delete a NAT gateway."""
    query_action("Ec2", ec2._ACTION_MAP["DeleteNatGateway"], NatGatewayId=gateway)


def create_flow_log(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Create a flow log; nothing flows."""
    answer = query_action(
        "Ec2",
        ec2._ACTION_MAP["CreateFlowLogs"],
        **{"ResourceId.1": properties["ResourceId"]},
        ResourceType=properties["ResourceType"],
        TrafficType=properties.get("TrafficType", "ALL"),
        LogDestinationType=properties.get("LogDestinationType", "cloud-watch-logs"),
        LogGroupName=properties.get("LogGroupName"),
        LogDestination=properties.get("LogDestination"),
        DeliverLogsPermissionArn=properties.get("DeliverLogsPermissionArn"),
        **_tags("vpc-flow-log", properties),
    )
    flow_log = str(answer.findtext(".//flowLogIdSet/item"))
    return flow_log, {"Id": flow_log}


def delete_flow_log(flow_log: str, _properties: Record) -> None:
    """Delete a flow log."""
    query_action("Ec2", ec2._ACTION_MAP["DeleteFlowLogs"], **{"FlowLogId.1": flow_log})


def create_ingress(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Let traffic into a security group; its id is the rule's."""
    answer = query_action(
        "Ec2",
        ec2._ACTION_MAP["AuthorizeSecurityGroupIngress"],
        GroupId=properties["GroupId"],
        **_rule(properties),
    )
    rule = str(answer.findtext(".//securityGroupRuleId"))
    return rule, {"Id": rule}


def delete_ingress(rule: str, properties: Record) -> None:
    """Take a rule away if its group is still there."""
    if properties["GroupId"] in ec2._security_groups:
        query_action(
            "Ec2",
            ec2._ACTION_MAP["RevokeSecurityGroupIngress"],
            GroupId=properties["GroupId"],
            **{"SecurityGroupRuleId.1": rule},
        )


def _rule(properties: Record) -> Record:
    rule = "IpPermissions.1"
    return {
        f"{rule}.IpProtocol": properties["IpProtocol"],
        f"{rule}.FromPort": properties.get("FromPort"),
        f"{rule}.ToPort": properties.get("ToPort"),
        f"{rule}.UserIdGroupPairs.1.GroupId": properties.get("SourceSecurityGroupId"),
        f"{rule}.IpRanges.1.CidrIp": properties.get("CidrIp"),
        f"{rule}.Ipv6Ranges.1.CidrIpv6": properties.get("CidrIpv6"),
    }


def _tags(kind: str, properties: Record) -> Record:
    tags = properties.get("Tags") or []
    if not tags:
        return {}
    specification = {"TagSpecification.1.ResourceType": kind}
    for position, tag in enumerate(tags, 1):
        specification[f"TagSpecification.1.Tag.{position}.Key"] = tag["Key"]
        specification[f"TagSpecification.1.Tag.{position}.Value"] = tag["Value"]
    return specification
