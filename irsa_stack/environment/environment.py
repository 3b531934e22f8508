"""What an environment file may hold: the settings of the stacks, typed."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from irsa_stack.environment.cluster import ClusterSettings, ExistingCluster
from irsa_stack.environment.controllers import Controllers
from irsa_stack.environment.metadata_guard import MetadataGuardSettings
from irsa_stack.environment.nodes import NodeGroup
from irsa_stack.environment.oidc import OidcSettings
from irsa_stack.environment.part import Part
from irsa_stack.environment.places import place_faults
from irsa_stack.environment.service_accounts import ServiceAccountList
from irsa_stack.environment.values import (
    KeyArn,
    Namespace,
    PolicyArn,
    RolePath,
    TagMap,
    Word,
    matching,
)
from irsa_stack.environment.vpc import VpcSettings
from irsa_stack.faults import refuse
from irsa_stack.iam import quotas

STACKS = 64
"""The most stacks that the service accounts of an environment are spread over."""

# ServiceType and Environment; and those that name the service account of a role.
_EVERY_TAG, _ROLE_TAGS = 2, 3
_BOTTLEROCKET_CLUSTER_CHARACTERS = 63


class Environment(Part):
    """An environment: one cluster, its nodes, and the service accounts that get roles."""

    service_type: Word
    """What the cluster serves; first part of its name."""
    environment: Word
    """Such as dev or prod; second part of its name."""
    tags: TagMap = Field(default_factory=dict)
    """Tags of every resource, besides ServiceType and Environment."""
    account: Annotated[str, matching(r"\d{12}", "'111122223333', in quotes")] | None = None
    """AWS account. Default: that of the credentials at deploy."""
    region: Annotated[str, matching(r"[a-z]{2,4}(?:-[a-z]+)+-\d", "eu-west-1")] | None = None
    """AWS region. Default: that of the credentials at deploy."""
    cluster: ClusterSettings
    """The cluster."""
    nodes: list[NodeGroup] = Field(default_factory=list)
    """Node groups of a new cluster."""
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    """The IAM OIDC provider; for an existing cluster only with `create_oidc_provider: true`."""
    vpc_cni: Literal["rebind", "addon", "keep"] | None = None
    """How aws-node gets its own role; `addon` only for a new cluster, `keep` only for an existing
    one. Default: `rebind` for a new cluster; `keep` for an existing one, where `rebind` restarts
    aws-node on every node."""
    metadata_guard: MetadataGuardSettings = Field(default_factory=MetadataGuardSettings)
    """How pods are kept off the credentials of a new cluster's nodes."""
    controllers: Controllers = Field(default_factory=Controllers)
    """Controllers that get a role."""
    service_accounts: ServiceAccountList = Field(default_factory=list)
    """Applications' service accounts."""
    service_account_stacks: Annotated[int, Field(ge=1, le=STACKS)] = 1
    """How many stacks the accounts are spread over; one holds 400. Another number moves accounts to
    other stacks, and they lose their roles meanwhile, so choose it before you need it."""
    service_account_refresh: str | None = None
    """Any text; change it to look at every service account anew, and mend what was changed by
    hand."""
    namespaces: list[Namespace] = Field(default_factory=list)
    """Namespaces to keep access to for the deploy that removes their last account."""
    permissions_boundary: PolicyArn | None = None
    """ARN of the ceiling on every role."""
    role_path: RolePath | None = None
    """Path of every role, with slashes at both ends."""
    log_encryption_key: KeyArn | None = None
    """KMS key of logs and functions. Its policy must let CloudWatch Logs use it, and let whoever
    deploys make a grant for Lambda (`kms:CreateGrant`). Default: the key of a new cluster; beside
    an existing one, the services' own keys."""
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365, 731, 1827, 3653] = 30
    """Days that logs are kept."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = [
            *_region_faults(self.account, self.region),
            *_tag_faults(self),
            *_mode_faults(self),
            *_name_faults(self),
            *place_faults(self),
        ]
        refuse(faults)
        return self

    @property
    def cluster_name(self) -> str:
        """`<service_type>-<environment>`, or the existing cluster's name."""
        if self.cluster.existing is not None:
            return self.cluster.existing.name
        return f"{self.service_type}-{self.environment}"

    @property
    def vpc_cni_mode(self) -> Literal["rebind", "addon", "keep"]:
        """What *vpc_cni* says, or its default for this cluster."""
        return self.vpc_cni or ("rebind" if self.cluster.existing is None else "keep")


def _region_faults(account: str | None, region: str | None) -> Iterator[str]:
    if (account is None) != (region is None):
        yield "account and region must be given together; give both, or neither"


def _tag_faults(settings: Environment) -> Iterator[str]:
    faults = list(quotas.tags_faults(len(settings.tags) + _EVERY_TAG, of="every resource"))
    yield from faults
    if faults:
        return
    for position, account in enumerate(settings.service_accounts):
        count = len({*settings.tags, *account.tags}) + _EVERY_TAG + _ROLE_TAGS
        own = _EVERY_TAG + _ROLE_TAGS
        if account.role_arn is None:
            yield from quotas.tags_faults(count, of=f"service_accounts[{position}]", own=own)


def _name_faults(settings: Environment) -> Iterator[str]:
    """Refuse names that must be unique, or short, beyond the part that they stand in."""
    roles: dict[str, str] = {}
    for account in settings.service_accounts:
        name = account.role_name
        if name is None:
            continue
        if name.lower() in roles:
            yield (
                f"service_accounts must have different role_names, got {name!r} and"
                f" {roles[name.lower()]!r}; rename one, because IAM does not tell A from a"
            )
        roles[name.lower()] = name
    rocket = [group.name for group in settings.nodes if group.ami_family == "BOTTLEROCKET"]
    if rocket and len(settings.cluster_name) > _BOTTLEROCKET_CLUSTER_CHARACTERS:
        yield (
            f"service_type and environment must be at most {_BOTTLEROCKET_CLUSTER_CHARACTERS - 1}"
            f" characters together with nodes of BOTTLEROCKET, got"
            f" {len(settings.cluster_name) - 1}; shorten one, because such nodes cannot join a"
            " cluster with a longer name"
        )


def _mode_faults(settings: Environment) -> Iterator[str]:
    new = settings.cluster.new
    if new is not None and settings.vpc_cni == "keep":
        yield "vpc_cni must be rebind or addon for a new cluster, got 'keep'; its nodes need one"
    if new is not None and not settings.nodes:
        yield "nodes must hold a node group for a new cluster, got none; add one"
    if settings.cluster.existing is not None:
        yield from _existing_faults(settings, settings.cluster.existing)
    if new is not None:
        yield from _subnet_faults(settings.nodes, new.vpc)
    names = [group.name for group in settings.nodes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"nodes must have different names, got {name!r} twice; rename one"
    accounts = {str(account.identity) for account in settings.service_accounts}
    if settings.vpc_cni_mode != "keep" and "kube-system/aws-node" in accounts:
        yield (
            "service_accounts must not hold kube-system/aws-node with vpc_cni:"
            f" {settings.vpc_cni_mode}; remove it, vpc_cni binds it"
        )


def _subnet_faults(nodes: list[NodeGroup], vpc: VpcSettings) -> Iterator[str]:
    for position, group in enumerate(nodes):
        for of, there, where in (
            ("subnets", vpc.private_subnets, "cluster.new.vpc.private_subnets"),
            ("zones", vpc.zones, "cluster.new.vpc.zones"),
        ):
            given = getattr(group, of)
            wrong = [value for value in given if value not in there]
            if wrong:
                yield (
                    f"nodes[{position}].{of} must be of {where}, got {', '.join(wrong)}; choose of"
                    f" {', '.join(there) or f'none, so write {where} first'}"
                )


def _existing_faults(settings: Environment, existing: ExistingCluster) -> Iterator[str]:
    """Refuse what is done to new clusters only, lest somebody think it done."""
    if settings.nodes:
        yield "nodes must be empty for an existing cluster, got some; its own tool makes them"
    if settings.vpc_cni == "addon":
        yield (
            "vpc_cni must be rebind or keep for an existing cluster, got 'addon'; set the role on"
            " the add-on with the tool that manages it"
        )
    if existing.node_roles and settings.vpc_cni_mode == "keep":
        yield (
            "cluster.existing.node_roles must go with vpc_cni: rebind, got"
            f" {existing.node_roles!r} with keep; write vpc_cni: rebind, or remove them"
        )
    if "metadata_guard" in settings.model_fields_set:
        yield (
            "metadata_guard must not be given for an existing cluster, got one; its own tool makes"
            " the launch templates, so close metadata there"
        )
    if "oidc" in settings.model_fields_set and not existing.create_oidc_provider:
        yield (
            "oidc must go with cluster.existing.create_oidc_provider: true, got false; its provider"
            " is imported as it is, so set that to true, or remove oidc"
        )
    for key, controller in settings.controllers.chosen():
        if controller.spec.in_vpc(existing.vpc_id).lacks_vpc:
            yield (
                f"cluster.existing.vpc_id must be given with {key}, got none; the controller is"
                " scoped to it"
            )
