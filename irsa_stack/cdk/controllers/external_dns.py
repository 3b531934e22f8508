"""external-dns: keeps the DNS records of Services and Ingresses."""

from collections.abc import Sequence
from typing import Any, Unpack

from aws_cdk import Aws
from aws_cdk import aws_route53 as route53
from constructs import Construct

from irsa_stack.cdk.controllers.controller import AccountOptions, Controller, place_of
from irsa_stack.cdk.service_accounts import ServiceAccounts
from irsa_stack.controllers import external_dns as policies
from irsa_stack.faults import refuse
from irsa_stack.kubernetes.service_account_request import Ownership

RECORD_POLICIES = ("upsert-only", "create-only", "sync")


class ExternalDns(Controller):
    """Define the account and the role of external-dns, held to named zones.

    Synthesises one `AWS::IAM::Role` with one inline policy, and binds the account.

    Args:
        service_accounts: the service accounts of the cluster.
        hosted_zones: zones that it may change, as `IHostedZone`, id or ARN.
        record_names: names that it may change in them, `*` standing for any characters. The names
            of the registry's TXT records are added. Default: every name of the zones.
        record_types: types that it may change; `TXT` is added for the registry. Default: all.
        txt_prefix: prefix of the registry's TXT records. Default: none.
        assume_roles: ARNs of the roles that hold zones of other accounts. Default: none.
        owner_id: what tells this cluster's records from another's in the same zone. Default: the
            name of the cluster.
        record_policy: `upsert-only`, `create-only`, or `sync`, which also deletes. Default:
            `upsert-only`.
        namespace: namespace of the account. Default: `kube-system`.
        service_account: name of the account. Default: `external-dns`.
        ownership: whose object the account is. Default: ours, `CREATE`.
        account: more options of `ServiceAccounts.add`.

    Raises:
        InvalidInput: no zone is named, or a property breaks a rule; all faults are listed.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import ImportedCluster, ServiceAccounts
        >>> from irsa_stack.controllers import ExternalDns
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
        >>> dns = ExternalDns(
        ...     stack,
        ...     "ExternalDns",
        ...     service_accounts=accounts,
        ...     hosted_zones=["Z0123456789ABCDEFGHIJ"],
        ...     record_names=["*.apps.example.com"],
        ... )
        >>> dns.chart_values["extraArgs"]["zone-id-filter"]
        ['Z0123456789ABCDEFGHIJ']

    See:
        https://github.com/kubernetes-sigs/external-dns/blob/v0.22.0/docs/tutorials/aws.md
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        service_accounts: ServiceAccounts,
        hosted_zones: Sequence[route53.IHostedZone | str] = (),
        record_names: Sequence[str] = (),
        record_types: Sequence[str] = (),
        txt_prefix: str = "",
        assume_roles: Sequence[str] = (),
        owner_id: str | None = None,
        record_policy: str = "upsert-only",
        namespace: str = "kube-system",
        service_account: str = "external-dns",
        ownership: Ownership = Ownership.CREATE,
        **account: Unpack[AccountOptions],
    ) -> None:
        if record_policy not in RECORD_POLICIES:
            refuse(
                [
                    f"record_policy must be of {', '.join(RECORD_POLICIES)}, got"
                    f" {record_policy!r}; correct it"
                ]
            )
        zones = (
            hosted_zones
            if isinstance(hosted_zones, str)
            else [zone if isinstance(zone, str) else zone.hosted_zone_id for zone in hosted_zones]
        )
        documents = policies.policy_documents(
            partition=Aws.PARTITION,
            hosted_zones=zones,
            record_names=record_names,
            record_types=record_types,
            txt_prefix=txt_prefix,
            assume_roles=assume_roles,
        )
        arguments: dict[str, Any] = {}
        if zones:
            arguments["zone-id-filter"] = [policies.zone_id(zone) for zone in zones]
        if len(assume_roles) == 1:
            arguments["aws-assume-role"] = assume_roles[0]
        values: dict[str, Any] = {
            "provider": {"name": "aws"},
            "policy": record_policy,
            "registry": "txt",
            "txtOwnerId": owner_id or service_accounts.cluster.cluster_name,
            "extraArgs": arguments,
            "env": [{"name": "AWS_DEFAULT_REGION", "value": place_of(service_accounts).region}],
        }
        if txt_prefix:
            values["txtPrefix"] = txt_prefix
        if record_types:
            values["managedRecordTypes"] = list(record_types)
        super().__init__(
            scope,
            id,
            upstream=policies.UPSTREAM,
            service_accounts=service_accounts,
            namespace=namespace,
            service_account=service_account,
            ownership=ownership,
            documents=documents,
            wildcards=policies.WILDCARDS,
            chart_values=values,
            **account,
        )
