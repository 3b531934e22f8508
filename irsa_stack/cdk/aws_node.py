"""`aws-node`, the VPC CNI's DaemonSet, moved to a role of its own."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from aws_cdk import Aws, CfnResource, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct, IConstruct

from irsa_stack.cdk.cluster_access import (
    FUNCTION_SECONDS,
    ROLLOUT_SECONDS_AT_MOST,
    SERVICE_TIMEOUT,
    access_policies,
    describe_cluster,
    rollout_faults,
)
from irsa_stack.cdk.durations import seconds_of
from irsa_stack.cdk.handler_function import HandlerFunction
from irsa_stack.cdk.kubectl_layer import ARCHITECTURE
from irsa_stack.cdk.role import IrsaRole
from irsa_stack.cdk.service_accounts import ServiceAccounts, role_tags, withdrawn_if_refused
from irsa_stack.cdk.taggable_resource import TaggableResource
from irsa_stack.controllers.vpc_cni import family_faults, vpc_cni_policy
from irsa_stack.faults import no_list_faults, refuse
from irsa_stack.iam.quotas import INLINE_POLICIES_CHARACTERS, document_characters
from irsa_stack.kubernetes.identity import ServiceAccountIdentity
from irsa_stack.kubernetes.rbac import aws_node_rules

AWS_NODE = ServiceAccountIdentity("kube-system", "aws-node")
IPV4_POLICY = "AmazonEKS_CNI_Policy"
IPV6_POLICY = "AmazonEKS_CNI_IPv6_Policy"


class AwsNodeRebinding(Construct):
    """Define the move of `kube-system/aws-node` to a role of its own, as one transaction.

    Synthesises the role with the CNI's permissions, and one custom resource that annotates the
    account, restarts the DaemonSet, waits for the rollout, verifies the new pods, and only then
    takes the policy off the node roles. A step that fails undoes those before it; deleting the
    resource gives the policy back first. Nobody's service account is ever deleted.

    For a new cluster, leave *node_roles* empty, never attach the CNI policy to them, and define the
    nodes after `binding`. For clusters whose VPC CNI is a managed add-on use `AwsNodeAddon`.

    Args:
        service_accounts: the service accounts of the cluster. With a *handler_role* of theirs, the
            function has that role, which is let move the policy, and no access entry.
        node_roles: existing roles that lose the CNI policy at the end, each once; some 20 fit what
            IAM allows the function's role. Default: none.
        ip_family: `ipv4` or `ipv6`. Default: `ipv4`.
        cni_policy: document in place of the default one. Default: `AmazonEKS_CNI_Policy`, or for
            `ipv6`, for which AWS has none, `controllers.vpc_cni_policy("ipv6")`.
        rollout_timeout: longest wait for the DaemonSet, at most 13 minutes. Default: 13 minutes.
        role_name: see `IrsaRole`.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import (
        ...     AwsNodeRebinding, ImportedCluster, ServiceAccounts
        ... )
        >>> stack = cdk.Stack()
        >>> accounts = ServiceAccounts(
        ...     stack,
        ...     "ServiceAccounts",
        ...     cluster=ImportedCluster(
        ...         name="payments-prod",
        ...         endpoint="https://EXAMPLE.gr7.eu-west-1.eks.amazonaws.com",
        ...         certificate_authority_data="LS0tLS1CRUdJTi...",
        ...         issuer_url="https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLE",
        ...     ),
        ... )
        >>> nodes = cdk.aws_iam.Role.from_role_name(stack, "Nodes", "payments-prod-nodes")
        >>> rebinding = AwsNodeRebinding(
        ...     stack, "AwsNode", service_accounts=accounts, node_roles=[nodes]
        ... )

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/cni-iam-role.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: ServiceAccounts,
        node_roles: Sequence[iam.IRole] = (),
        ip_family: str = "ipv4",
        cni_policy: iam.PolicyDocument | dict[str, Any] | None = None,
        rollout_timeout: Duration | None = None,
        role_name: str | None = None,
    ) -> None:
        wait, untimely = seconds_of(rollout_timeout, of="rollout_timeout")
        claimant = f"{type(self).__name__} {f'{scope.node.path}/{id}'!r}"
        faults = [
            *family_faults(ip_family),
            *_node_roles_faults(node_roles),
            *untimely,
            *rollout_faults(wait),
            *service_accounts.claims.faults(AWS_NODE, claimant),
        ]
        refuse(faults)
        super().__init__(scope, id)
        policy_arns = [_managed_arn(IPV4_POLICY)]
        if ip_family == "ipv6":
            policy_arns.append(f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:policy/{IPV6_POLICY}")
        documents = [_detaching_document(role, policy_arns) for role in node_roles]
        cluster = service_accounts.cluster
        with withdrawn_if_refused(scope, id):
            self.role = _define_role(self, service_accounts, ip_family, cni_policy, role_name)
            """The role of `aws-node`."""
            function = HandlerFunction(
                self,
                "Function",
                handler="aws_node.on_event.handle",
                description="Moves aws-node to a role of its own",
                timeout=FUNCTION_SECONDS,
                service_timeout=SERVICE_TIMEOUT,
                functions=service_accounts.functions,
                roles=service_accounts.roles,
                statements=[describe_cluster(self, cluster.cluster_name)],
                layers=[service_accounts.kubectl_layer],
                architecture=ARCHITECTURE,
                memory_size=512,
                network=cluster.network,
                role=service_accounts.handler_role,
            )
            refuse(_room_faults([*documents, {"Statement": function.statements}]))
        resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::AwsNodeRebinding",
            service_token=function.service_token,
            service_timeout=SERVICE_TIMEOUT,
            properties={
                "Cluster": {
                    "Name": cluster.cluster_name,
                    "Endpoint": cluster.endpoint,
                    "CertificateAuthorityData": cluster.certificate_authority_data,
                },
                "RoleArn": self.role.role_arn,
                "NodeRoleNames": [role.role_name for role in node_roles],
                "PolicyArns": policy_arns,
                "RolloutTimeoutSeconds": str(int(wait or ROLLOUT_SECONDS_AT_MOST)),
                **service_accounts.refresh,
            },
        )
        cast("CfnResource", resource.node.default_child).override_logical_id(
            _logical_id(Stack.of(self).resolve(cluster.cluster_name))
        )
        resource.node.add_dependency(function.ready)
        access = service_accounts.let_in(
            self,
            "aws-node",
            principal_arn=function.role_arn,
            policies=lambda: access_policies(
                Aws.PARTITION, [AWS_NODE.namespace], whole_cluster=False
            ),
            rules=lambda: {AWS_NODE.namespace: aws_node_rules()},
        )
        resource.node.add_dependency(*access)
        for role, document in zip(node_roles, documents, strict=True):
            # A resource of its own for each role: one that is no longer handed in must get its
            # policy back, and CloudFormation removes what a template dropped after all updates.
            name = f"Detaching{role.node.addr[-8:]}{ip_family.capitalize()}"
            detaching = iam.CfnPolicy(
                self,
                name,
                policy_name=name,
                roles=[function.role_name],
                policy_document=document,
            )
            resource.node.add_dependency(detaching)
        self.binding: IConstruct = resource
        """Depend on it to be made after `aws-node` has its role."""
        self.nodes_checked: str = resource.get_att_string("NodesChecked")
        """How many nodes' pods were verified (known at deploy)."""
        self.role_seen: str = resource.get_att_string("RoleSeen")
        """ARN of the role that the pods carry (known at deploy)."""
        self.detached_from: str = resource.get_att_string("DetachedFrom")
        """Names of the node roles that lost the policy (known at deploy)."""
        service_accounts.claims.take(AWS_NODE, claimant)


class AwsNodeAddon(Construct):
    """Define the VPC CNI as a managed add-on whose `aws-node` has a role of its own.

    Synthesises the role and one `AWS::EKS::Addon`; EKS annotates and restarts `aws-node` itself.
    The alternative to `AwsNodeRebinding`; the two are never mixed in one cluster.

    A cluster that has the managed add-on already, or still has it from a stack that was removed or
    rolled back, refuses a second one: take it into the stack with `cdk import`.

    Args:
        service_accounts: the service accounts of the cluster.
        addon_version: such as `v1.22.1-eksbuild.1`. Default: EKS's for the cluster's version.
        ip_family: `ipv4` or `ipv6`. Default: `ipv4`.
        cni_policy: see `AwsNodeRebinding`.
        resolve_conflicts: `NONE`, `OVERWRITE` or `PRESERVE`. Default: `OVERWRITE`: a new cluster
            comes with a self-managed copy that the add-on takes over.
        configuration_values: JSON text of the add-on's settings. Default: none.
        removal_policy: what becomes of role and add-on, together, when the stack goes or is rolled
            back. `RETAIN` keeps both: a cluster that stays would be left with pods that ask for a
            role that is gone, and get no credentials at all. `DESTROY` removes both from the
            account, right for a cluster that goes with the stack; the DaemonSet stays in the
            cluster. Default: `RETAIN`.

    Raises:
        InvalidInput: a property breaks a rule; all faults are listed.

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/vpc-add-on-create.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: ServiceAccounts,
        addon_version: str | None = None,
        ip_family: str = "ipv4",
        cni_policy: iam.PolicyDocument | dict[str, Any] | None = None,
        resolve_conflicts: str = "OVERWRITE",
        configuration_values: str | None = None,
        removal_policy: RemovalPolicy = RemovalPolicy.RETAIN,
    ) -> None:
        claimant = f"{type(self).__name__} {f'{scope.node.path}/{id}'!r}"
        faults = [
            *family_faults(ip_family),
            *service_accounts.claims.faults(AWS_NODE, claimant),
        ]
        if resolve_conflicts not in ("NONE", "OVERWRITE", "PRESERVE"):
            faults.append(
                "resolve_conflicts must be NONE, OVERWRITE or PRESERVE, got"
                f" {resolve_conflicts!r}; correct it"
            )
        if removal_policy not in (RemovalPolicy.RETAIN, RemovalPolicy.DESTROY):
            faults.append(
                f"removal_policy must be RETAIN or DESTROY, got {removal_policy}; correct it"
            )
        refuse(faults)
        super().__init__(scope, id)
        with withdrawn_if_refused(scope, id):
            self.role = _define_role(self, service_accounts, ip_family, cni_policy)
            """The role of `aws-node`."""
        addon = TaggableResource(
            self,
            "Resource",
            resource_type="AWS::EKS::Addon",
            properties={
                "AddonName": "vpc-cni",
                "ClusterName": service_accounts.cluster.cluster_name,
                "AddonVersion": addon_version,
                "ConfigurationValues": configuration_values,
                # Without it EKS takes the DaemonSet along, and a cluster that stays has no network:
                # one that changes to `AwsNodeRebinding` too, which comes before the add-on goes.
                "PreserveOnDelete": True,
                "ResolveConflicts": resolve_conflicts,
                "ServiceAccountRoleArn": self.role.role_arn,
            },
        )
        addon.apply_removal_policy(removal_policy)
        cast("CfnResource", self.role.node.default_child).apply_removal_policy(removal_policy)
        self.binding: IConstruct = addon
        """Depend on it to be made after `aws-node` has its role."""
        service_accounts.claims.take(AWS_NODE, claimant)


def _define_role(
    scope: Construct,
    service_accounts: ServiceAccounts,
    ip_family: str,
    cni_policy: iam.PolicyDocument | dict[str, Any] | None,
    role_name: str | None = None,
) -> IrsaRole:
    if ip_family == "ipv6" and cni_policy is None:
        cni_policy = vpc_cni_policy("ipv6")
    return IrsaRole(
        scope,
        "Role",
        oidc_provider=service_accounts.oidc_provider,
        service_accounts=[AWS_NODE],
        managed_policies=[] if cni_policy else [_managed(IPV4_POLICY)],
        inline_policies={"Cni": cni_policy} if cni_policy else None,
        role_name=role_name,
        path=service_accounts.roles.path,
        permissions_boundary=service_accounts.roles.permissions_boundary,
        tags=role_tags(AWS_NODE, service_accounts.cluster.cluster_name),
    )


def _logical_id(cluster_name: object) -> str:
    """Return one id a cluster, whatever the constructs are called.

    Under another id CloudFormation would take the binding for a second one, and let the first undo
    it.
    """
    digest = hashlib.sha256(json.dumps(cluster_name, sort_keys=True).encode()).hexdigest()
    return f"AwsNodeRebinding{digest[:8].upper()}"


def _managed(name: str) -> iam.IManagedPolicy:
    return iam.ManagedPolicy.from_aws_managed_policy_name(name)


def _managed_arn(name: str) -> str:
    return f"arn:{Aws.PARTITION}:iam::aws:policy/{name}"


def _detaching_document(node_role: iam.IRole, policy_arns: Sequence[str]) -> dict[str, Any]:
    """Let the function move these policies on this role, and nothing else."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "iam:ListAttachedRolePolicies",
                "Resource": node_role.role_arn,
            },
            {
                "Effect": "Allow",
                "Action": ["iam:AttachRolePolicy", "iam:DetachRolePolicy"],
                "Resource": node_role.role_arn,
                "Condition": {"ArnEquals": {"iam:PolicyARN": list(policy_arns)}},
            },
        ],
    }


def _node_roles_faults(node_roles: Sequence[iam.IRole]) -> Iterator[str]:
    if faults := no_list_faults(node_roles, of="node_roles"):
        yield from faults
        return
    names: set[str] = set()
    for role in node_roles:
        if isinstance(role, str):
            yield (
                f"node_roles must hold roles, got {role!r}; pass iam.Role.from_role_name(scope, id,"
                f" {role!r})"
            )
            continue
        if role.role_name in names:
            yield f"node_roles must name each role once, got {role.role_name!r} twice; remove one"
        names.add(role.role_name)


def _room_faults(documents: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    *others, _ = documents
    size = sum(map(document_characters, documents))
    if size > INLINE_POLICIES_CHARACTERS:
        yield (
            f"node_roles must be so few that the function's inline policies have at most"
            f" {INLINE_POLICIES_CHARACTERS} characters together, got {len(others)} with {size} at"
            " the longest; let node groups share a role, or take the policy off some by hand"
        )
