"""What an environment file may hold: the settings of the stacks, typed, each with its rule."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from irsa_stack import budgets
from irsa_stack.arn import arn_faults
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.identity import ServiceAccountIdentity, name_faults, namespace_faults
from irsa_stack.issuer import issuer_url_faults
from irsa_stack.kubernetes_version import version_faults
from irsa_stack.naming import cluster_name_faults, network_id_faults, vpc_id_faults
from irsa_stack.service_account_manifest import token_expiration_faults
from irsa_stack.thumbprints import Thumbprints, thumbprints_faults

# Two of them and a hyphen are the name of a cluster.
_WORD = re.compile(r"[a-z](?:[-a-z0-9]{0,47}[a-z0-9])?")
_TAG_KEY_CHARACTERS, _TAG_VALUE_CHARACTERS = 128, 256


def _checked(faults: Callable[[Any], Iterable[str]]) -> AfterValidator:
    """Validate with a rule of ours, keeping all of its faults."""

    def check(value: Any) -> Any:  # noqa: ANN401 (of the field's type)
        refuse(faults(value))
        return value

    return AfterValidator(check)


def _cidr_faults(cidr: str) -> Iterator[str]:
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        reason = str(error).removeprefix(f"{cidr!r} ").removeprefix(f"{cidr} ")
        yield f"must be a CIDR block such as 10.0.0.0/16, got {cidr!r}; it {reason}"


def _vpc_cidr_faults(cidr: str) -> Iterator[str]:
    faults = list(_cidr_faults(cidr))
    yield from faults
    if not faults and not 16 <= ipaddress.ip_network(cidr).prefixlen <= 22:  # noqa: PLR2004 (VPC limits, and room)
        yield (
            f"must be a block of /16 to /22, got {cidr!r}; smaller ones leave pods no addresses,"
            " because six zones share it so that a zone can be added later"
        )


def _word_faults(word: str) -> Iterator[str]:
    if not _WORD.fullmatch(word):
        yield (
            "must be 1-49 lower-case letters, digits and '-', starting with a letter, got"
            f" {word!r}; correct it, because it becomes part of the cluster's name"
        )


def _arn(kind: str) -> AfterValidator:
    return _checked(lambda arn: arn_faults(arn, kind, of="value"))


def _match(pattern: str, example: str) -> AfterValidator:
    rule = re.compile(pattern)

    def faults(value: str) -> Iterator[str]:
        if not rule.fullmatch(value):
            yield f"must be such as {example}, got {value!r}; correct it"

    return _checked(faults)


def _names_once(raw: object) -> object:
    """Refuse one account twice, before the accounts themselves are read."""
    if isinstance(raw, list):
        named = [
            f"{item.get('namespace')}/{item.get('name')}" for item in raw if isinstance(item, dict)
        ]
        refuse(
            f"must name each account once, got {name!r} twice; remove one"
            for name in sorted({name for name in named if named.count(name) > 1})
        )
    return raw


def _node_role_faults(role: str) -> Iterator[str]:
    if role.startswith("arn:"):
        yield from arn_faults(role, "role", of="value")
    elif "/" in role:
        yield (
            f"must be the name of a role, or the ARN of one with a path, got {role!r}; copy the ARN"
            " from IAM"
        )
    else:
        yield from budgets.role_name_faults(role, of="value")


PolicyArn = Annotated[str, _arn("policy")]
RoleArn = Annotated[str, _arn("role")]
Cidr = Annotated[str, _checked(_cidr_faults)]
VpcId = Annotated[str, _checked(lambda value: vpc_id_faults(value, of="value"))]
SubnetId = Annotated[str, _checked(lambda value: network_id_faults(value, "subnet", of="value"))]
SecurityGroupId = Annotated[str, _checked(lambda value: network_id_faults(value, "sg", of="value"))]
KeyArn = Annotated[
    str,
    _match(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9A-Za-z-]+",
        "arn:aws:kms:eu-west-1:111122223333:key/ID",
    ),
]
RoleName = Annotated[str, _checked(lambda name: budgets.role_name_faults(name, of="value"))]
RolePath = Annotated[str, _checked(lambda path: budgets.path_faults(path, of="value"))]
Namespace = Annotated[str, _checked(namespace_faults)]
AccountName = Annotated[str, _checked(name_faults)]


class _Part(BaseModel):
    """A part of an environment file: unknown keys and wrong types are faults."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class EndpointSettings(_Part):
    """How the API server is reached."""

    private: bool = True
    """Whether it is reached from inside the VPC."""
    public: bool = True
    """Whether it is reached from the Internet."""
    public_cidrs: list[Cidr] = Field(default_factory=list)
    """Who reaches the public endpoint. Default: everybody, with an IAM identity."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        faults = []
        if not self.private and not self.public:
            faults.append("must be private, public or both, got neither; set private: true")
        if self.public_cidrs and not self.public:
            faults.append("public_cidrs must go with public: true, got false; remove them")
        elif self.public_cidrs and not self.private:
            faults.append(
                "public_cidrs must go with private: true, got false; nodes and functions have no"
                " address that could be listed"
            )
        refuse(faults)
        return self


class VpcSettings(_Part):
    """The VPC of a new cluster: one to make, or one that is there."""

    cidr: Annotated[str, _checked(_vpc_cidr_faults)] | None = None
    """Addresses of a VPC to make, such as 10.0.0.0/16."""
    availability_zones: Annotated[int, Field(ge=2, le=6)] = 2
    """How many zones a VPC to make spans, 2 to 6; the first ones that AWS lists. Name `zones`
    where EKS refuses one of them."""
    nat_gateways: Annotated[int, Field(ge=1, le=6)] = 1
    """How many NAT gateways a VPC to make has; one a zone survives the loss of a zone."""
    id: VpcId | None = None
    """An existing VPC; name its subnets too."""
    zones: list[str] = Field(default_factory=list)
    """Zones by name, 2 to 6: those of a VPC to make (append later ones at the end), or those of the
    existing subnets, in their order."""
    private_subnets: list[SubnetId] = Field(default_factory=list)
    """Existing private subnets, one a zone."""
    public_subnets: list[SubnetId] = Field(default_factory=list)
    """Existing public subnets, one a zone, for load balancers."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        faults = []
        if (self.cidr is None) == (self.id is None):
            faults.append("must have either cidr (to make one) or id (an existing one); give one")
        ours = {"availability_zones", "nat_gateways"}
        theirs = {"private_subnets", "public_subnets"}
        faults.extend(
            f"{name} must go with {'cidr' if name in ours else 'id'}, got it without; remove it"
            for name in sorted(self.model_fields_set & (ours if self.cidr is None else theirs))
        )
        if self.cidr is not None and "zones" in self.model_fields_set:
            if "availability_zones" in self.model_fields_set:
                faults.append("zones must go without availability_zones, got both; remove that one")
            if not 2 <= len(set(self.zones)) == len(self.zones) <= 6:  # noqa: PLR2004
                faults.append(
                    f"zones must be 2 to 6 different ones, got {self.zones!r}; correct it"
                )
        if self.id is not None and not len(self.zones) == len(self.private_subnets) >= 2:  # noqa: PLR2004
            faults.append(
                "must have two or more private_subnets and their zones with id, got"
                f" {len(self.private_subnets)} and {len(self.zones)}; list one subnet a zone"
            )
        if (
            self.id is not None
            and self.public_subnets
            and len(self.public_subnets) != len(self.zones)
        ):
            faults.append(
                f"must have one public subnet a zone, got {len(self.public_subnets)} for"
                f" {len(self.zones)} zones; list them all or none"
            )
        refuse(faults)
        return self


class NewCluster(_Part):
    """A cluster to make."""

    version: Annotated[
        str, _checked(lambda version: version_faults(version, of="value", create=True))
    ] = "1.36"
    """Kubernetes version, in quotes. Default: the newest that the CDK names."""
    log_types: list[Literal["api", "audit", "authenticator", "controllerManager", "scheduler"]] = (
        Field(default=["api", "audit", "authenticator", "controllerManager", "scheduler"])
    )
    """Control-plane logs to keep. Default: all five."""
    endpoint: EndpointSettings = Field(default_factory=EndpointSettings)
    """How the API server is reached."""
    vpc: VpcSettings
    """Where it runs."""
    secrets_encryption_key: KeyArn | None = None
    """KMS key of secrets. Default: one made with the cluster, rotated every year."""
    administrators: list[RoleArn] = Field(default_factory=list)
    """Roles of people who administer the cluster; they must exist. Default: nobody but
    CloudFormation's execution role, so kubectl answers Unauthorized."""


class ExistingCluster(_Part):
    """A cluster that another tool made."""

    name: Annotated[str, _checked(lambda name: cluster_name_faults(name, of="value"))]
    """Its name."""
    version: Annotated[
        str, _checked(lambda version: version_faults(version, of="value", create=False))
    ]
    """Its Kubernetes version, in quotes."""
    issuer_url: Annotated[str, _checked(issuer_url_faults)]
    """Its OpenID Connect issuer URL."""
    create_oidc_provider: bool = False
    """Whether IAM has no OIDC provider for it yet."""
    endpoint: Annotated[
        str, _match(r"https://[^\s/]+", "https://ID.gr7.eu-west-1.eks.amazonaws.com")
    ]
    """URL of its API server."""
    certificate_authority_data: Annotated[str, _match(r"[A-Za-z0-9+/]+={0,2}", "LS0tLS1CRUdJTi...")]
    """Its CA certificate, base64 of PEM."""
    vpc_id: VpcId | None = None
    """Its VPC: for the load-balancer controller, and for a private-only endpoint."""
    zones: list[str] = Field(default_factory=list)
    """Zones of *private_subnets*, in their order."""
    private_subnets: list[SubnetId] = Field(default_factory=list)
    """Subnets that functions run in; give them when the endpoint is private only."""
    security_groups: list[SecurityGroupId] = Field(default_factory=list)
    """Security groups that its endpoint lets in; needed with *private_subnets*."""
    node_roles: list[Annotated[str, _checked(_node_role_faults)]] = Field(default_factory=list)
    """Its node roles, which lose the CNI policy with `vpc_cni: rebind`: names, or ARNs where roles
    have a path."""

    @model_validator(mode="after")
    def _whole_network(self) -> Self:
        given = [self.private_subnets, self.security_groups, self.zones]
        if any(given) and not (all(given) and self.vpc_id):
            raise ValueError(
                "private_subnets must go with vpc_id, zones and security_groups; give all four or"
                " none"
            )
        return self


class NodeGroup(_Part):
    """A managed node group."""

    name: Annotated[str, _checked(_word_faults)]
    """Its name within the cluster."""
    instance_types: list[Annotated[str, _match(r"[a-z0-9-]+\.[a-z0-9-]+", "m7g.large")]] = Field(
        min_length=1
    )
    """Instance types of one architecture."""
    min_size: Annotated[int, Field(ge=0)] = 1
    """Fewest nodes."""
    desired_size: Annotated[int, Field(ge=0)] = 2
    """Nodes at first."""
    max_size: Annotated[int, Field(ge=1)] = 3
    """Most nodes."""
    ami_family: Literal["AL2023", "BOTTLEROCKET"] = "AL2023"
    """Operating system; Amazon Linux 2 images are no longer published."""
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    """Processor of the instance types."""
    release_version: (
        Annotated[str, _match(r"\d+\.\d+\.\d+-[0-9a-z]+", "1.36.1-20261120")] | None
    ) = None
    """Release of the nodes' image. Default: EKS's newest when the group is made or the cluster's
    version changes."""

    @model_validator(mode="after")
    def _sizes(self) -> Self:
        if not self.min_size <= self.desired_size <= self.max_size:
            raise ValueError(
                "must have min_size <= desired_size <= max_size, got"
                f" {self.min_size}, {self.desired_size}, {self.max_size}; correct them"
            )
        return self


class OidcSettings(_Part):
    """The IAM OIDC provider."""

    thumbprints: Literal["computed", "exact", "chosen-by-iam"] = "computed"
    """Where its thumbprints come from."""
    values: list[str] = Field(default_factory=list)
    """Thumbprints: all of them for `exact`, those to keep beside the others for `computed`."""
    refresh: str | None = None
    """Any text; change it to compute anew."""
    ca_bundle_file: str | None = None
    """File with PEM certificates of a private CA, relative to this file."""
    allow_private: bool = False
    """Whether the issuer may live at an address that is not globally routable."""

    def ca_bundle(self, folder: Path) -> str | None:
        """Return the PEM text of *ca_bundle_file*, which is relative to *folder*.

        Raises:
            InvalidInput: the file cannot be read.
        """
        if self.ca_bundle_file is None:
            return None
        path = folder / self.ca_bundle_file
        try:
            return path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                [f"oidc.ca_bundle_file must be a PEM file, got {str(path)!r}; {error}"]
            ) from None

    @model_validator(mode="after")
    def _as_thumbprints(self) -> Self:
        _ = self.source
        return self

    @property
    def source(self) -> Thumbprints:
        """The same as the construct's value."""
        if self.thumbprints == "exact":
            return Thumbprints.exactly(self.values)
        if self.thumbprints == "computed":
            refuse(thumbprints_faults(self.values, of="values", at_most=budgets.THUMBPRINTS - 1))
            return Thumbprints.computed(also=self.values)
        if self.values:
            raise ValueError(
                f"values must not be given with chosen-by-iam, got {self.values!r}; use exact"
            )
        return Thumbprints.chosen_by_iam()


class MetadataGuardSettings(_Part):
    """How pods are kept off the node's credentials."""

    hop_limit: Annotated[int, Field(ge=1, le=64)] = 1
    """Network hops that metadata answers live; 1 stops at the node."""
    packet_filter: Literal["none", "nftables", "iptables"] = "nftables"
    """Second layer on AL2023; `iptables` is the rule that is often copied, with its holes."""


class Statement(_Part):
    """A permission of a role."""

    actions: list[Annotated[str, _match(r"[a-z0-9-]+:[A-Za-z0-9*]+", "s3:GetObject")]] = Field(
        min_length=1
    )
    """IAM actions."""
    resources: list[Annotated[str, Field(min_length=1)]] = Field(min_length=1)
    """ARNs."""
    conditions: dict[str, dict[str, str | list[str]]] = Field(default_factory=dict)
    """IAM conditions by operator."""


class ServiceAccountSettings(_Part):
    """An application's service account."""

    namespace: Namespace
    """Its namespace."""
    name: AccountName
    """Its name."""
    ownership: Literal["CREATE", "ADOPT", "HELM", "NONE"] = "CREATE"
    """Whose object it is."""
    managed_policies: list[PolicyArn] = Field(default_factory=list)
    """ARNs of policies."""
    statements: list[Statement] = Field(default_factory=list)
    """Permissions of its role."""
    restart: list[
        Annotated[
            str, _match(r"\*|(?:deployment|daemonset|statefulset)/[a-z0-9.-]+", "deployment/api")
        ]
    ] = Field(default_factory=list)
    """Workloads to restart when the role changes."""
    force: bool = False
    """With ADOPT, whether to take annotations that another tool owns, such as eksctl's."""
    create_namespace: bool = False
    """Whether to make its namespace if it is missing; then the function that binds the accounts
    needs to be cluster admin."""
    token_expiration: Annotated[int, _checked(token_expiration_faults)] | None = None
    """Seconds that a token lives, 600 to 86400."""
    role_name: RoleName | None = None
    """Name of its role. Default: CloudFormation's."""
    role_arn: RoleArn | None = None
    """An existing role, instead of one made here."""
    allow_default_service_account: bool = False
    """Whether the account named `default` is meant."""
    review_note: Annotated[str, Field(min_length=10)] | None = None
    """Why its AWS managed policies and wildcards are right; without it they fail the review."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = []
        if self.role_arn and (self.managed_policies or self.statements or self.role_name):
            faults.append(
                "role_arn must stand alone, got policies or role_name too; permissions belong to"
                " where that role is defined"
            )
        if self.name == "default" and not self.allow_default_service_account:
            faults.append(
                f"name must not be 'default' in {self.namespace!r}: every pod that names no"
                " account would get the role; set allow_default_service_account: true if meant"
            )
        if (self.restart or self.create_namespace) and self.ownership in ("HELM", "NONE"):
            faults.append(
                "restart and create_namespace must go with CREATE or ADOPT, got"
                f" {self.ownership}; remove them"
            )
        faults.extend(_force_faults(self.ownership, force=self.force))
        refuse(faults)
        return self

    @property
    def identity(self) -> ServiceAccountIdentity:
        """Namespace and name as one."""
        return ServiceAccountIdentity(self.namespace, self.name)


def _force_faults(ownership: str, *, force: bool) -> Iterator[str]:
    if force and ownership != "ADOPT":
        yield f"force must go with ownership: ADOPT, got {ownership}; remove it"


class ControllerSettings(_Part):
    """A controller that is scoped to the cluster."""

    namespace: Namespace = "kube-system"
    """Namespace of its account."""
    ownership: Literal["CREATE", "ADOPT", "HELM", "NONE"] = "CREATE"
    """Whose object its account is."""
    force: bool = False
    """With ADOPT, whether to take annotations that another tool owns, such as a chart's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(_force_faults(self.ownership, force=self.force))
        return self


class ExternalDnsSettings(ControllerSettings):
    """The controller that keeps DNS records."""

    hosted_zones: list[Annotated[str, _match(r"Z[0-9A-Z]{1,31}", "Z0123456789ABCDEFGHIJ")]] = Field(
        min_length=1
    )
    """Ids of the zones that it may write."""


class Controllers(_Part):
    """Controllers that get a role. Leave one out to leave it alone."""

    external_dns: ExternalDnsSettings | None = None
    """Keeps DNS records of services and ingresses."""
    aws_load_balancer_controller: ControllerSettings | None = None
    """Keeps load balancers; once called alb-ingress-controller."""
    cluster_autoscaler: ControllerSettings | None = None
    """Keeps the number of nodes."""


class ClusterSettings(_Part):
    """The cluster: a new one, or an existing one."""

    new: NewCluster | None = None
    """A cluster to make."""
    existing: ExistingCluster | None = None
    """A cluster that another tool made."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.new is None) == (self.existing is None):
            raise ValueError("must have either new or existing; give one")
        return self


class Environment(_Part):
    """An environment: one cluster, its nodes, and the service accounts that get roles."""

    service_type: Annotated[str, _checked(_word_faults)]
    """What the cluster serves; first part of its name."""
    environment: Annotated[str, _checked(_word_faults)]
    """Such as dev or prod; second part of its name."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Tags of every resource, besides ServiceType and Environment."""
    account: Annotated[str, _match(r"\d{12}", "'111122223333', in quotes")] | None = None
    """AWS account. Default: that of the credentials at deploy."""
    region: Annotated[str, _match(r"[a-z]{2,4}(?:-[a-z]+)+-\d", "eu-west-1")] | None = None
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
    service_accounts: Annotated[list[ServiceAccountSettings], BeforeValidator(_names_once)] = Field(
        default_factory=list
    )
    """Applications' service accounts."""
    service_account_stacks: Annotated[int, Field(ge=1, le=64)] | None = None
    """How many stacks the accounts are spread over. Default: as many as their number asks; a
    number given here keeps every account where it is, whatever comes or goes."""
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
            *_tag_faults(self.tags),
            *_mode_faults(self),
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


def _tag_faults(tags: dict[str, str]) -> Iterator[str]:
    yield from budgets.tags_faults(len(tags) + 2, of="every resource")
    for key, value in tags.items():
        if key.lower().startswith("aws:") or not 1 <= len(key) <= _TAG_KEY_CHARACTERS:
            yield (
                "tags must have keys of 1-128 characters, not starting with aws:, got"
                f" {key!r}; rename it"
            )
        if len(value) > _TAG_VALUE_CHARACTERS:
            yield (
                f"tags must have values of at most 256 characters, got {len(value)} for {key!r};"
                " shorten it"
            )


def _mode_faults(settings: Environment) -> Iterator[str]:
    new = settings.cluster.new
    if new is not None and settings.vpc_cni == "keep":
        yield "vpc_cni must be rebind or addon for a new cluster, got 'keep'; its nodes need one"
    if new is not None and not settings.nodes:
        yield "nodes must hold a node group for a new cluster, got none; add one"
    if settings.cluster.existing is not None:
        yield from _existing_faults(settings, settings.cluster.existing)
    names = [group.name for group in settings.nodes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"nodes must have different names, got {name!r} twice; rename one"
    accounts = {str(account.identity) for account in settings.service_accounts}
    if settings.vpc_cni_mode != "keep" and "kube-system/aws-node" in accounts:
        yield (
            "service_accounts must not hold kube-system/aws-node with vpc_cni:"
            f" {settings.vpc_cni_mode}; remove it, vpc_cni binds it"
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
    if settings.controllers.aws_load_balancer_controller is not None and existing.vpc_id is None:
        yield (
            "cluster.existing.vpc_id must be given with aws_load_balancer_controller, got none;"
            " the controller is scoped to it"
        )
