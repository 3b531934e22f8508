"""What CloudFormation templates say about access, across stacks and nested stacks."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from irsa_stack.cloudformation.outcomes import Template, without_scheme
from irsa_stack.iam.arn import partition_of_region
from irsa_stack.kubernetes.service_account_manifest import ROLE_ARN_ANNOTATION, ROLE_PLACEHOLDER
from irsa_stack.review.facts import (
    ADD_ON,
    ANNOTATION,
    ASSOCIATION,
    AccessEntry,
    At,
    Binding,
    Document,
    Facts,
    Provider,
    Role,
    each_text,
)
from irsa_stack.review.sources.documents import line_of, object_of
from irsa_stack.review.sources.reading import Source

ADD_ON_ACCOUNTS = {
    "vpc-cni": "kube-system/aws-node",
    "aws-ebs-csi-driver": "kube-system/ebs-csi-controller-sa",
    "aws-efs-csi-driver": "kube-system/efs-csi-controller-sa",
    "aws-fsx-csi-driver": "kube-system/fsx-csi-controller-sa",
    "aws-mountpoint-s3-csi-driver": "kube-system/s3-csi-driver-sa",
    "amazon-cloudwatch-observability": "amazon-cloudwatch/cloudwatch-agent",
    "adot": "opentelemetry-operator-system/adot-col-prom-metrics",
}
"""The service account of each EKS add-on that takes a role.

See: https://docs.aws.amazon.com/eks/latest/userguide/workloads-add-ons-available-eks.html
"""

_REFERENCE = re.compile(
    r"\$\{Token\[(?:plain\.)?(?:@(?P<stack>[^.\]]*)\.)?(?:Ref|Fn\.GetAtt)\.(?P<id>\w+?)"
    r"(?:\.(?:Arn|RoleName|RoleId))?\]\}"
)
_IMPORTED = re.compile(r"\$\{Token\[(plain\.)?(?!plain\.|@|Ref\.AWS\.)")
_CLUSTERS = ("AWS::EKS::Cluster", "Custom::AWSCDK-EKS-Cluster")
_PROVIDERS = ("AWS::IAM::OIDCProvider", "Custom::AWSCDKOpenIdConnectProvider")
_ROLE = "AWS::IAM::Role"


def with_values(sources: Sequence[Source], parameters: Mapping[str, str]) -> None:
    """Fill in what other stacks and the caller know: exports, parameters of nested stacks.

    Args:
        sources: templates; their content is changed.
        parameters: values by the names of parameters.
    """
    for source in sources:
        for one in source.all():
            one.content = dict(one.content)
            _set_defaults(one, parameters)
    exports: dict[tuple[str | None, str], str] = {}
    for _ in range(2):  # an export may hold what its stack imports
        for source in sources:
            for one in source.all():
                _import(one, exports)
                exports |= _exports(one)
        _pass_down(sources)


def _set_defaults(source: Source, values: Mapping[str, Any]) -> None:
    declared = object_of(source.content.get("Parameters"))
    source.content["Parameters"] = {
        name: {**object_of(one), "Default": values[name], "AllowedValues": None, "Type": "String"}
        if name in values
        else one
        for name, one in declared.items()
    }


def template_of(source: Source) -> Template:
    """Return the resolver of a template, with what is known of its place."""
    known = {}
    if source.account:
        known["AWS::AccountId"] = source.account
    if source.region:
        known["AWS::Region"] = source.region
        known["AWS::Partition"] = partition_of_region(source.region)
    return Template.of(source.content, known)


def _exports(source: Source) -> dict[tuple[str | None, str], str]:
    outputs = object_of(source.content.get("Outputs"))
    if not any("Export" in object_of(one) for one in outputs.values()):
        return {}
    whole = template_of(source)
    found = {}
    for output in outputs.values():
        export = object_of(object_of(output).get("Export"))
        name = whole.resolved(export.get("Name"))
        value = whole.resolved(object_of(output).get("Value"))
        if isinstance(name, str) and isinstance(value, str):
            found[(source.region, name)] = _qualified(value, source.name)
    return found


def _qualified(value: str, stack: str) -> str:
    """Say in deploy-time values which stack they are of."""
    name = re.sub(r"[^\w/-]", "-", stack)
    return _IMPORTED.sub(lambda found: f"{found[0]}@{name}.", value)


def _import(source: Source, exports: Mapping[tuple[str | None, str], str]) -> None:
    if "Fn::ImportValue" not in source.text and "ImportValue" not in source.text:
        return

    def replaced(value: Any) -> Any:  # noqa: ANN401 (JSON)
        if isinstance(value, list):
            return [replaced(one) for one in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1 and isinstance(value.get("Fn::ImportValue"), str):
            return exports.get((source.region, value["Fn::ImportValue"]), value)
        return {key: replaced(one) for key, one in value.items()}

    source.content = replaced(source.content)


def _pass_down(sources: Sequence[Source]) -> None:
    for parent in sources:
        for one in parent.all():
            if not one.children:
                continue
            whole = template_of(one)
            for logical_id, child in one.children.items():
                properties = object_of(object_of(whole.resources.get(logical_id)).get("Properties"))
                given = {
                    name: _qualified(found, one.name) if isinstance(found, str) else found
                    for name, value in object_of(properties.get("Parameters")).items()
                    if (found := whole.resolved(value)) is not None
                }
                _set_defaults(child, given)


class TemplateFacts:
    """Read the facts of one template into a collection."""

    def __init__(self, source: Source, facts: Facts, stack: str) -> None:
        self._source = source
        self._facts = facts
        self._stack = stack
        self._whole = template_of(source)

    def add_roles(self) -> None:
        """Add the roles, for all else to refer to."""
        for logical_id, resource, properties in self._resources(_ROLE):
            del resource
            name = self._resolved(properties.get("RoleName"))
            has_name = isinstance(name, str) and "${Token[" not in name
            role = Role(
                id=self._id(logical_id),
                name=name if has_name else logical_id,
                has_name=has_name,
                at=self._at(logical_id),
                trust=self._document("trust policy", properties.get("AssumeRolePolicyDocument")),
            )
            for one in self._listed(properties.get("Policies")):
                role.policies.append(self._named_document(one))
            self._facts.roles[role.id] = role

    def add_rest(self) -> None:
        """Add policies, bindings, providers and access entries."""
        documents = self._managed_policies()
        for logical_id, _, properties in self._resources(_ROLE):
            role = self._facts.roles[self._id(logical_id)]
            arns = each_text(self._resolved(properties.get("ManagedPolicyArns") or []))
            self._attach(role, arns, documents)
            boundary = self._resolved(properties.get("PermissionsBoundary"))
            if isinstance(boundary, str):
                role.boundary = boundary
                role.boundary_document = documents.get(self._policy_id(boundary))
        for kind, element in (
            ("AWS::IAM::Policy", "Roles"),
            ("AWS::IAM::ManagedPolicy", "Roles"),
            ("AWS::IAM::RolePolicy", "RoleName"),
        ):
            for _, _, properties in self._resources(kind):
                for reference in each_text(self._resolved(properties.get(element) or [])):
                    role_or_none = self._role(reference)
                    if role_or_none is not None and properties.get("PolicyDocument") is not None:
                        role_or_none.policies.append(self._named_document(properties))
        self._add_eks()
        self._add_manifests()

    def _attach(self, role: Role, arns: Sequence[str], documents: Mapping[str, Document]) -> None:
        for arn in arns:
            document = documents.get(self._policy_id(arn))
            if document is None:
                role.managed.append(arn)
            elif document not in role.policies:
                role.policies.append(document)

    def _managed_policies(self) -> dict[str, Document]:
        return {
            self._id(logical_id): self._named_document(
                {"PolicyName": properties.get("ManagedPolicyName") or logical_id, **properties}
            )
            for logical_id, _, properties in self._resources("AWS::IAM::ManagedPolicy")
        }

    def _policy_id(self, arn: str) -> str:
        found = _REFERENCE.fullmatch(arn)
        return self._id(found["id"], found["stack"]) if found else arn

    def _add_eks(self) -> None:
        for kind in _PROVIDERS:
            for logical_id, _, properties in self._resources(kind):
                url = self._resolved(properties.get("Url"))
                listed = self._resolved(
                    properties.get("ClientIdList", properties.get("ClientIDList"))
                )
                issuer = without_scheme(url) if isinstance(url, str) else ""
                self._facts.providers.append(
                    Provider(
                        issuer=issuer,
                        client_ids=tuple(each_text(listed or [])),
                        cluster=self._cluster_of(issuer),
                        at=self._at(logical_id),
                    )
                )
        for logical_id, _, properties in self._resources("AWS::EKS::PodIdentityAssociation"):
            self._bind(
                f"{self._text(properties.get('Namespace'))}/{self._text(properties.get('ServiceAccount'))}",
                ASSOCIATION,
                properties.get("RoleArn"),
                logical_id,
                cluster=properties.get("ClusterName"),
                target=properties.get("TargetRoleArn"),
            )
        for logical_id, _, properties in self._resources("AWS::EKS::Addon"):
            add_on = self._text(properties.get("AddonName"))
            account = ADD_ON_ACCOUNTS.get(add_on, f"(add-on)/{add_on}")
            if properties.get("ServiceAccountRoleArn") is not None:
                self._bind(
                    account,
                    ADD_ON,
                    properties["ServiceAccountRoleArn"],
                    logical_id,
                    cluster=properties.get("ClusterName"),
                )
            for one in self._listed(properties.get("PodIdentityAssociations")):
                namespace = account.partition("/")[0]
                self._bind(
                    f"{namespace}/{self._text(one.get('ServiceAccount'))}",
                    ASSOCIATION,
                    one.get("RoleArn"),
                    logical_id,
                    cluster=properties.get("ClusterName"),
                )
        for logical_id, _, properties in self._resources("AWS::EKS::AccessEntry"):
            principal = self._text(properties.get("PrincipalArn"))
            role = self._role(principal)
            grants = [
                _access_grant(self._resolved(one))
                for one in self._listed(properties.get("AccessPolicies"))
            ]
            groups = each_text(self._resolved(properties.get("KubernetesGroups") or []))
            self._facts.access_entries.append(
                AccessEntry(
                    principal=role.name if role else principal,
                    cluster=self._cluster_name(properties.get("ClusterName")),
                    grants=(*grants, *(f"group {group}" for group in groups)),
                    at=self._at(logical_id),
                )
            )

    def _add_manifests(self) -> None:
        for logical_id, resource in self._whole.resources.items():
            kind = str(object_of(resource).get("Type"))
            properties = object_of(object_of(resource).get("Properties"))
            if kind == "Custom::ServiceAccounts":
                cluster = object_of(properties.get("Cluster")).get("Name")
                for account, value in object_of(properties.get("ServiceAccounts")).items():
                    # What is special about one stands beside its role.
                    special = isinstance(value, Mapping) and "Role" in value
                    role = value["Role"] if special else value
                    self._bind(account, ANNOTATION, role, logical_id, cluster=cluster)
            elif kind == "Custom::AwsNodeRebinding":
                cluster = object_of(properties.get("Cluster")).get("Name")
                self._bind(
                    "kube-system/aws-node",
                    ANNOTATION,
                    properties.get("RoleArn"),
                    logical_id,
                    cluster=cluster,
                )
            elif ROLE_ARN_ANNOTATION in json.dumps(properties, default=str):
                cluster = properties.get("ClusterName")
                for account, arn in manifest_bindings(self._resolved(properties)):
                    self._bind(account, ANNOTATION, arn, logical_id, cluster=cluster)

    def _bind(
        self,
        account: str,
        how: str,
        role: Any,  # noqa: ANN401 (JSON)
        logical_id: str,
        *,
        cluster: Any = None,  # noqa: ANN401 (JSON)
        target: Any = None,  # noqa: ANN401 (JSON)
    ) -> None:
        reference = self._text(role)
        found = self._role(reference)
        namespace, _, name = account.partition("/")
        self._facts.bindings.append(
            Binding(
                namespace=namespace,
                name=name,
                how=how,
                role=found.id if found else reference,
                at=self._at(logical_id),
                cluster=self._cluster_name(cluster),
                target=self._text(target) if target is not None else "",
            )
        )

    def _cluster_name(self, value: Any) -> str:  # noqa: ANN401 (JSON)
        if value is None:
            return ""
        text = self._text(value)
        found = _REFERENCE.fullmatch(text)
        if found is None:
            return text
        return self._facts.clusters.get(self._id(found["id"], found["stack"]), text)

    def _cluster_of(self, issuer: str) -> str:
        found = re.search(r"issuer\.(?:@[^.\]]*\.)?(?:Fn\.GetAtt\.)?(\w+)", issuer)
        return self._facts.clusters.get(self._id(found[1]), found[1]) if found else ""

    def add_clusters(self) -> None:
        """Add the clusters' names, for all else to refer to."""
        for kind in _CLUSTERS:
            for logical_id, _, properties in self._resources(kind):
                config = object_of(properties.get("Config"))
                name = self._resolved(properties.get("Name", config.get("name")))
                if isinstance(name, str):
                    self._facts.clusters[self._id(logical_id)] = name

    def _resources(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
        for logical_id, resource in self._whole.resources.items():
            if isinstance(resource, Mapping) and resource.get("Type") == kind:
                yield logical_id, resource, object_of(resource.get("Properties"))

    def _role(self, reference: str) -> Role | None:
        found = _REFERENCE.fullmatch(reference)
        if found:
            return self._facts.roles.get(self._id(found["id"], found["stack"]))
        return self._facts.role_of(reference)

    def _id(self, logical_id: str, stack: str | None = None) -> str:
        return f"{re.sub(r'[^A-Za-z0-9_/-]', '-', stack or self._stack)}:{logical_id}"

    def _at(self, logical_id: str) -> At:
        return At(
            path=self._source.path,
            resource=logical_id,
            line=line_of(self._source.text, "Resources", logical_id) if self._source.text else None,
        )

    def _resolved(self, value: Any) -> Any:  # noqa: ANN401 (JSON)
        return self._whole.resolved(value)

    def _text(self, value: Any) -> str:  # noqa: ANN401 (JSON)
        found = self._resolved(value)
        return found if isinstance(found, str) else json.dumps(found, default=str)

    def _listed(self, value: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 (JSON)
        if isinstance(value, Mapping) and "Fn::If" in value:
            found = self._whole.outcomes(value).values
            value = [one for many in found for one in (many if isinstance(many, list) else [many])]
        many = value if isinstance(value, list) else [value]
        flat: list[Mapping[str, Any]] = []
        for one in many:
            if isinstance(one, Mapping) and set(one) == {"Fn::If"}:
                flat += [
                    each for each in self._whole.outcomes(one).values if isinstance(each, Mapping)
                ]
            elif isinstance(one, Mapping):
                flat.append(one)
        return flat

    def _named_document(self, properties: Mapping[str, Any]) -> Document:
        name = self._resolved(properties.get("PolicyName", "policy"))
        return self._document(str(name), properties.get("PolicyDocument"))

    def _document(self, name: str, value: Any) -> Document:  # noqa: ANN401 (JSON)
        outcomes = self._whole.outcomes(value)
        documents = tuple(_parsed(one) for one in outcomes.values if one is not None)
        return Document(
            name=name, outcomes=documents if outcomes.is_complete else (*documents, "too many")
        )


def _access_grant(policy: Any) -> str:  # noqa: ANN401 (JSON)
    name = str(object_of(policy).get("PolicyArn")).rpartition("/")[2]
    scope = object_of(object_of(policy).get("AccessScope"))
    namespaces = ", ".join(each_text(scope.get("Namespaces") or []))
    return f"{name} on {f'namespaces {namespaces}' if namespaces else 'the whole cluster'}"


def _parsed(document: Any) -> Any:  # noqa: ANN401 (JSON)
    if not isinstance(document, str):
        return document
    try:
        return json.loads(document)
    except ValueError:
        return document


def manifest_bindings(value: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 (JSON)
    """Return the annotated service accounts of the manifests in *value*: account and role ARN."""
    if isinstance(value, str) and ROLE_ARN_ANNOTATION in value:
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, list):
        for one in value:
            yield from manifest_bindings(one)
    if isinstance(value, Mapping):
        metadata = object_of(value.get("metadata"))
        role = object_of(metadata.get("annotations")).get(ROLE_ARN_ANNOTATION)
        if isinstance(role, str) and role != ROLE_PLACEHOLDER:
            yield f"{metadata.get('namespace', 'default')}/{metadata.get('name', '')}", role
            return
        for one in value.values():
            yield from manifest_bindings(one)
