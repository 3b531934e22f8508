"""Roles and role annotations of a CloudFormation template, wherever one is written."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.cloudformation.outcomes import Outcomes, Template, without_scheme
from irsa_stack.cloudformation.template_text import template_from_text
from irsa_stack.iam.arn import partition_of_region
from irsa_stack.kubernetes.service_account_manifest import ROLE_ARN_ANNOTATION
from irsa_stack.review.annotations import role_annotation_findings
from irsa_stack.review.findings import Finding, finding
from irsa_stack.review.trust_policy import Place, not_told, trust_policy_findings

_ANY_ACCOUNT = "111122223333"
_ROLE = "AWS::IAM::Role"
_DOCUMENT = "AssumeRolePolicyDocument"
_STACK_SET = "AWS::CloudFormation::StackSet"
_KNOWN_TRANSFORMS = re.compile(
    r"AWS::(LanguageExtensions|Serverless-|CodeDeployBlueGreen|SecretsManager-)"
)
_SEVERAL = "more outcomes than can be followed"


def template_findings(
    template: Mapping[str, Any], *, region: str | None = None, account: str | None = None
) -> Iterator[Finding]:
    """Return what is wrong in a template.

    Args:
        template: as JSON.
        region: region that it is deployed to. Default: any.
        account: AWS account that it is deployed to. Default: any.
    """
    known = {"AWS::AccountId": account or _ANY_ACCOUNT}
    partition = None
    if region is not None:
        partition = partition_of_region(region)
        known |= {
            "AWS::Partition": partition,
            "AWS::Region": region,
            "AWS::URLSuffix": _URL_SUFFIXES.get(partition, "amazonaws.com"),
        }
    yield from _macro_findings(template)
    whole = Template.of(template, known)
    place = Place(partition=partition, account=account, client_ids=_ClientIds(whole))
    for logical_id, resource in whole.resources.items():
        if logical_id == "Fn::Transform":
            yield _macro("Resources", "Fn::Transform")
            continue
        found = _resource_findings(whole, resource, place)
        yield from (one.within(where, resource=logical_id) for where, one in dict.fromkeys(found))


_URL_SUFFIXES = {"aws-cn": "amazonaws.com.cn"}


def _macro_findings(template: Mapping[str, Any]) -> Iterator[Finding]:
    transforms = template.get("Transform") or []
    for transform in transforms if isinstance(transforms, list) else [transforms]:
        name = transform.get("Name") if isinstance(transform, Mapping) else transform
        if not _KNOWN_TRANSFORMS.match(str(name)):
            yield _macro("Transform", str(name))


def _macro(where: str, name: str) -> Finding:
    return finding(
        "IRSA901",
        f"template must be readable before the deploy, got the macro {name!r}, which may write"
        " roles that cannot be told; review what it makes, and acknowledge this with a reason",
    ).within("", resource=where)


def _resource_findings(
    whole: Template, resource: Mapping[str, Any], place: Place
) -> Iterator[tuple[str, Finding]]:
    kind = resource["Type"]
    properties = resource.get("Properties") or {}
    if str(kind).endswith("::MODULE"):
        yield (
            "",
            finding(
                "IRSA901",
                f"resource must be readable before the deploy, got the module {kind!r}, which may"
                " define roles that cannot be told; review its template, and acknowledge this with"
                " a reason",
            ),
        )
        return
    if kind == _ROLE:
        yield from _role_findings(whole, properties, place)
        return
    text = json.dumps(properties, default=str)
    if kind == _STACK_SET:
        yield from _stack_set_findings(whole, properties)
    elif "ssumerolepolicy" in text.lower():
        yield from _hidden_findings(whole, whole.outcomes(properties), place)
    if ROLE_ARN_ANNOTATION in text:
        for value in whole.outcomes(properties).values:
            for one in role_annotation_findings(value, partition=place.partition):
                yield "", one


def _role_findings(
    whole: Template,
    properties: object,
    place: Place,
) -> Iterator[tuple[str, Finding]]:
    if not isinstance(properties, Mapping) or "Fn::Transform" in properties:
        yield _DOCUMENT, not_told("trust policy", properties)
        return
    if _DOCUMENT in properties:
        outcomes = whole.outcomes(properties[_DOCUMENT])
        yield from _document_findings(outcomes, place, _DOCUMENT)


def _document_findings(
    outcomes: Outcomes, place: Place, where: str
) -> Iterator[tuple[str, Finding]]:
    for document in outcomes.values:
        if document is not None:
            yield from ((where, one) for one in trust_policy_findings(document, place))
    if not outcomes.is_complete:
        yield where, not_told("trust policy", _SEVERAL)


def _hidden_findings(
    whole: Template, outcomes: Outcomes, place: Place
) -> Iterator[tuple[str, Finding]]:
    """Judge trust policies inside of resources that are no roles."""
    for value in outcomes.values:
        for where, document in _hidden_documents(value, ""):
            yield from _document_findings(whole.outcomes(document), place, where)
    if not outcomes.is_complete:
        yield "", not_told("trust policy", _SEVERAL)


def _hidden_documents(value: Any, where: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (JSON)
    if isinstance(value, str) and "ssumerolepolicy" in value.lower() and "{" in value:
        try:
            value = json.loads(value)
        except ValueError:
            yield where, f"${{Token[{re.sub('[^a-z]+', '.', value[:40].lower())}]}}"
            return
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from _hidden_documents(item, f"{where}/{position}".strip("/"))
    if isinstance(value, Mapping):
        changes_trust = "updateassumerolepolicy" in str(value.get("action", "")).lower()
        for key, item in value.items():
            inner = f"{where}/{key}".strip("/")
            if str(key).lower() == _DOCUMENT.lower():
                yield inner, item
            elif changes_trust and str(key).lower() == "parameters" and isinstance(item, Mapping):
                yield from (
                    (f"{inner}/{name}", document)
                    for name, document in item.items()
                    if str(name).lower() == "policydocument"
                )
            else:
                yield from _hidden_documents(item, inner)


def _stack_set_findings(
    whole: Template, properties: Mapping[str, Any]
) -> Iterator[tuple[str, Finding]]:
    for value in whole.outcomes(properties.get("TemplateBody")).values:
        body = template_from_text(value) if isinstance(value, str) else value
        if not isinstance(body, Mapping):
            got = "TemplateURL" if value is None else value
            yield "TemplateBody", not_told("template of the stack set", str(got)[:60])
            continue
        # It is deployed to accounts of its own.
        for one in template_findings(body, region=None, account=None):
            yield f"TemplateBody/{one.resource}", one


class _ClientIds:
    """The audiences that the providers of a template list, by their ARN's issuer."""

    def __init__(self, whole: Template) -> None:
        self._whole = whole
        self._lists: dict[str, Sequence[str] | None] | None = None

    def __call__(self, provider: str) -> Sequence[str] | None:
        if self._lists is None:
            self._lists = dict(self._read())
        return self._lists.get(_issuer(provider))

    def _read(self) -> Iterable[tuple[str, Sequence[str] | None]]:
        for logical_id, resource in self._whole.resources.items():
            if not isinstance(resource, Mapping) or resource.get("Type") not in (
                "AWS::IAM::OIDCProvider",
                "Custom::AWSCDKOpenIdConnectProvider",
            ):
                continue
            properties = resource.get("Properties") or {}
            listed = self._whole.resolved(
                properties.get("ClientIdList", properties.get("ClientIDList"))
            )
            arn = self._whole.resolved({"Ref": logical_id})
            if isinstance(listed, list) and not any(map(is_deploy_time, listed)):
                yield _issuer(arn), [str(one) for one in listed]


def _issuer(arn: str) -> str:
    _, found, issuer = arn.partition(":oidc-provider/")
    return (issuer if found else without_scheme(arn)).lower()
