"""`AWS::EKS::Addon`, `AccessEntry` and `PodIdentityAssociation`."""

from typing import Any

from ministack.services import eks

from rehearsal.emulator.service_actions import camel_case, json_action, tag_map

Record = dict[str, Any]
Made = tuple[str, Record]

_ADDON_BODY = (
    "AddonVersion",
    "ServiceAccountRoleArn",
    "ConfigurationValues",
    "PodIdentityAssociations",
)


def create_addon(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Create an add-on: a record, nothing is installed."""
    cluster, name = properties["ClusterName"], properties["AddonName"]
    body = {"addonName": name, "tags": tag_map(properties), **_addon_body(properties)}
    addon = json_action("Eks", eks._create_addon(cluster, body))["addon"]
    return f"{cluster}|{name}", {"Arn": addon["addonArn"]}


def update_addon(physical_id: str, _old: Record, new: Record, _stack: str) -> Made:
    """Update an add-on in place."""
    cluster, name = physical_id.split("|")
    json_action("Eks", eks._update_addon(cluster, name, _addon_body(new)))
    return physical_id, {"Arn": eks._addons[f"{cluster}/{name}"]["addonArn"]}


def delete_addon(physical_id: str, _properties: Record) -> None:
    """Delete an add-on if it is still there."""
    cluster, name = physical_id.split("|")
    if f"{cluster}/{name}" in eks._addons:
        json_action("Eks", eks._delete_addon(cluster, name))


def create_access_entry(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Create an access entry with its policies."""
    cluster, principal = properties["ClusterName"], properties["PrincipalArn"]
    body = {
        "principalArn": principal,
        "type": properties.get("Type", "STANDARD"),
        "tags": tag_map(properties),
        **_identity(properties),
    }
    entry = json_action("Eks", eks._create_access_entry(cluster, body))["accessEntry"]
    _associate(cluster, principal, properties)
    return f"{principal}|{cluster}", {"AccessEntryArn": entry["accessEntryArn"]}


def update_access_entry(physical_id: str, old: Record, new: Record, _stack: str) -> Made:
    """Update an access entry and its policies in place."""
    principal, cluster = physical_id.split("|")
    json_action("Eks", eks._update_access_entry(cluster, principal, _identity(new)))
    for arn in _policy_arns(old) - _policy_arns(new):
        eks._disassociate_access_policy(cluster, principal, arn)
    _associate(cluster, principal, new)
    record = eks._access_entries[eks._ae_key(cluster, principal)]
    return physical_id, {"AccessEntryArn": record["accessEntryArn"]}


def delete_access_entry(physical_id: str, _properties: Record) -> None:
    """Delete an access entry if it is still there."""
    principal, cluster = physical_id.split("|")
    if eks._ae_key(cluster, principal) in eks._access_entries:
        json_action("Eks", eks._delete_access_entry(cluster, principal))


def create_pod_identity(_logical_id: str, properties: Record, _stack: str) -> Made:
    """Create a pod identity association."""
    body = {
        "namespace": properties["Namespace"],
        "serviceAccount": properties["ServiceAccount"],
        "roleArn": properties["RoleArn"],
        "tags": tag_map(properties),
    }
    answer = json_action(
        "Eks", eks._create_pod_identity_association(properties["ClusterName"], body)
    )
    arn = answer["association"]["associationArn"]
    return arn, {"AssociationArn": arn, "AssociationId": arn.rsplit("/", 1)[-1]}


def update_pod_identity(arn: str, _old: Record, new: Record, _stack: str) -> Made:
    """Update the role of an association in place."""
    association_id = arn.rsplit("/", 1)[-1]
    json_action(
        "Eks",
        eks._update_pod_identity_association(
            new["ClusterName"], association_id, {"roleArn": new["RoleArn"]}
        ),
    )
    return arn, {"AssociationArn": arn, "AssociationId": association_id}


def delete_pod_identity(arn: str, properties: Record) -> None:
    """Delete an association."""
    association_id = arn.rsplit("/", 1)[-1]
    json_action(
        "Eks", eks._delete_pod_identity_association(properties["ClusterName"], association_id)
    )


def _addon_body(properties: Record) -> Record:
    return camel_case({key: properties[key] for key in _ADDON_BODY if key in properties})


def _identity(properties: Record) -> Record:
    return {
        "kubernetesGroups": properties.get("KubernetesGroups") or [],
        "username": properties.get("Username", ""),
    }


def _associate(cluster: str, principal: str, properties: Record) -> None:
    for policy in properties.get("AccessPolicies") or []:
        body = {
            "policyArn": policy["PolicyArn"],
            "accessScope": camel_case(policy["AccessScope"]),
        }
        json_action("Eks", eks._associate_access_policy(cluster, principal, body))


def _policy_arns(properties: Record) -> set[str]:
    return {policy["PolicyArn"] for policy in properties.get("AccessPolicies") or []}
