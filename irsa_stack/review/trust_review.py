"""Mistakes in trust policies written by hand, which deploy well and fail, or let in too many.

See: https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.iam.arn import arn_faults
from irsa_stack.iam.quotas import TRUST_POLICY_CHARACTERS_AT_MOST, document_characters
from irsa_stack.iam.trust import ASSUME_ROLE_ACTION, NAME_PATTERN, STS_AUDIENCE
from irsa_stack.kubernetes.identity import SUBJECT_PREFIX, name_faults, namespace_faults
from irsa_stack.kubernetes.service_account_manifest import ROLE_ARN_ANNOTATION, ROLE_PLACEHOLDER

RULES = {
    "IRSA100": "a trust policy is JSON with statements",
    "IRSA101": "the subject is tested",
    "IRSA102": "the audience is tested",
    "IRSA104": "the namespace is one exact name",
    "IRSA106": "a wildcard stands under StringLike",
    "IRSA107": "a subject is one that Kubernetes gives out",
    "IRSA108": "a test fails for tokens that lack the claim or have another",
    "IRSA109": "a web identity may assume the role and nothing else",
    "IRSA110": "condition keys start with the issuer of the provider, without https://",
    "IRSA111": "a statement names one provider",
    "IRSA112": "the principal is a provider, not everybody",
    "IRSA114": "the audience is one exact value, and no subject",
    "IRSA115": "a trust policy says who may do what, not who may not",
    "IRSA117": "a provider is of this partition and account, and its ARN well-formed",
    "IRSA119": "a trust policy fits IAM's largest quota",
    "IRSA501": "the role annotation of a service account holds the ARN of a role",
}
"""What each rule asks for, by the id that acknowledges it."""

# Providers that IAM knows by name: their tokens have other claims.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
_NAMED_PROVIDERS = (
    "accounts.google.com",
    "cognito-identity.amazonaws.com",
    "graph.facebook.com",
    "www.amazon.com",
)
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
_OTHER_KEYS = ("aws", "sts", "saml")
_ACTIONS_BESIDE = ("sts:tagsession", "sts:setsourceidentity")
_EKS_ISSUER = re.compile(r"oidc[.-]eks\.")


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that something breaks, and how.

    Args:
        rule: a key of `RULES`.
        fault: `<property> must <rule>, got <value>; <fix>`.
    """

    rule: str
    fault: str


def trust_policy_faults(
    document: object, *, partition: str | None = None, account: str | None = None
) -> Iterator[str]:
    """Say what is wrong with a trust policy for web identities; others have no faults.

    Args:
        document: the policy, as an object or as JSON text; may hold deploy-time values.
        partition: partition that its providers must be in. Default: any.
        account: account that its providers must be in: the role's. Default: any.

    Examples:
        >>> [fault] = trust_policy_faults('{"Statement": ')
        >>> fault.partition(",")[0]
        'trust policy must be JSON'
    """
    found = trust_policy_findings(document, partition=partition, account=account)
    return (finding.fault for finding in found)


def trust_policy_findings(
    document: Any,  # noqa: ANN401 (JSON)
    *,
    partition: str | None = None,
    account: str | None = None,
) -> Iterator[Finding]:
    """Return the faults of `trust_policy_faults` with the rules that they break."""
    text = str(document)
    if isinstance(document, str) and not _is_unknown(text):
        try:
            document = json.loads(document)
        except ValueError as error:
            yield Finding(
                "IRSA100", f"trust policy must be JSON, got {text[:60]!r}; correct it: {error}"
            )
            return
    if not isinstance(document, Mapping):
        return
    text = json.dumps(document, default=str).lower()
    if "withwebidentity" not in text and ":oidc-provider" not in text:
        return
    size = document_characters(document)
    if size > TRUST_POLICY_CHARACTERS_AT_MOST:
        yield Finding(
            "IRSA119",
            f"trust policy must be at most {TRUST_POLICY_CHARACTERS_AT_MOST} characters, got"
            f" {size}; spread the service accounts over several roles",
        )
    for statement in _list(document.get("Statement")):
        if isinstance(statement, Mapping) and statement.get("Effect") == "Allow":
            yield from _statement_findings(statement, partition, account)


def role_annotation_findings(value: object, *, partition: str | None = None) -> Iterator[Finding]:
    """Say what is wrong with the role annotations of the manifests in *value*.

    Args:
        value: any part of a template, resolved; manifests may be objects or JSON text.
        partition: partition that the roles must be in. Default: any.
    """
    if isinstance(value, str) and ROLE_ARN_ANNOTATION in value:
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, list):
        for item in value:
            yield from role_annotation_findings(item, partition=partition)
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == ROLE_ARN_ANNOTATION and item == ROLE_PLACEHOLDER:
                continue  # the common manifest: each account's role stands beside it
            if key == ROLE_ARN_ANNOTATION:
                for fault in arn_faults(item, "role", of=key, partition=partition):
                    yield Finding("IRSA501", fault)
            else:
                yield from role_annotation_findings(item, partition=partition)


def _statement_findings(
    statement: Mapping[str, Any], partition: str | None, account: str | None
) -> Iterator[Finding]:
    for element, instead in (("NotPrincipal", "Principal"), ("NotAction", "Action")):
        if element in statement:
            yield Finding(
                "IRSA115",
                f"statement must have {instead}, got {element}; name those who may,"
                " because it allows all the others",
            )
    actions = [str(action).lower() for action in _list(statement.get("Action"))]
    principal = statement.get("Principal")
    federated = _list(principal.get("Federated")) if isinstance(principal, Mapping) else []
    if ASSUME_ROLE_ACTION.lower() in actions and "NotPrincipal" not in statement:
        yield from _principal_findings(principal, federated)
    providers = [name for name in federated if _is_oidc_provider(name)]
    if not providers:
        return
    other = [
        action for action in actions if action not in (ASSUME_ROLE_ACTION.lower(), *_ACTIONS_BESIDE)
    ]
    if other:
        yield Finding(
            "IRSA109",
            f"Action must be {ASSUME_ROLE_ACTION!r} for a web identity, got {other[0]!r};"
            " put other principals into a statement of their own",
        )
    if len(federated) > 1:
        yield Finding(
            "IRSA111",
            f"Principal.Federated must name one provider, got {len(federated)}: no key holds the"
            " claims of both; give each cluster a statement of its own",
        )
    for provider in providers:
        for fault in arn_faults(
            provider,
            "oidc-provider",
            of="Principal.Federated",
            partition=partition,
            account=account,
        ):
            yield Finding("IRSA117", fault)
    yield from _condition_findings(statement.get("Condition", {}), str(providers[0]))


def _principal_findings(principal: object, federated: list[Any]) -> Iterator[Finding]:
    if principal == "*" or "*" in federated:
        yield Finding(
            "IRSA112",
            "Principal.Federated must be the ARN of a provider, got '*'; everybody's tokens would"
            " do, so name the cluster's provider",
        )
    elif isinstance(principal, Mapping) and not federated:
        yield Finding(
            "IRSA112",
            f"Principal must be Federated for {ASSUME_ROLE_ACTION}, got {sorted(principal)};"
            " name the cluster's provider",
        )


@dataclass(frozen=True, slots=True)
class _Test:
    """One condition on one claim."""

    operator: str
    key: str
    values: list[Any]

    @property
    def issuer(self) -> str:
        return self.key.rpartition(":")[0]

    @property
    def claim(self) -> str:
        return self.key.rpartition(":")[2].lower()

    @property
    def is_like(self) -> bool:
        return "Like" in self.operator

    @property
    def is_passed_without(self) -> bool:
        """Whether tokens pass that lack the claim, or have another value."""
        return (
            self.operator.endswith("IfExists")
            or self.operator.startswith("ForAllValues:")
            or "Not" in self.operator
        )


def _condition_findings(condition: object, provider: str) -> Iterator[Finding]:
    if not isinstance(condition, Mapping) or not all(
        isinstance(tests, Mapping) for tests in condition.values()
    ):
        return  # only the deploy will tell
    tests = [
        _Test(operator, str(key), _list(values))
        for operator, keys in condition.items()
        for key, values in keys.items()
        if operator != "Null" and str(key).partition(":")[0] not in _OTHER_KEYS
    ]
    claims = {test.claim for test in tests}
    if not claims - {"aud"}:
        yield Finding(
            "IRSA101",
            "Condition must test the subject, got no key that ends in ':sub'; add StringEquals with"
            f" '{SUBJECT_PREFIX}NAMESPACE:NAME', because without it every service account of the"
            " cluster may assume the role",
        )
    if "aud" not in claims:
        yield Finding(
            "IRSA102",
            "Condition must test the audience, got no key that ends in ':aud'; add"
            f" StringEquals with {STS_AUDIENCE!r}",
        )
    for test in tests:
        yield from _key_findings(test, provider)
        if test.claim not in ("aud", "sub"):
            continue
        if test.is_passed_without:
            yield Finding(
                "IRSA108",
                f"operator of {test.key!r} must be StringEquals or StringLike, got"
                f" {test.operator!r}; write StringEquals, because this lets in tokens that lack the"
                " claim or have another",
            )
        for value in test.values:
            if isinstance(value, str) and not is_deploy_time(value):
                yield from _value_findings(test, value, provider)


def _key_findings(test: _Test, provider: str) -> Iterator[Finding]:
    if "://" in test.key:
        yield Finding(
            "IRSA110",
            f"condition key must have no scheme, got {test.key!r}; write"
            f" {test.key.partition('://')[2]!r}",
        )
        return
    _, found, issuer = provider.partition(":oidc-provider/")
    if (
        found
        and not is_deploy_time(issuer)
        and not is_deploy_time(test.issuer)
        and issuer.lower() != test.issuer.lower()
    ):
        yield Finding(
            "IRSA110",
            f"condition key must start with the provider's issuer {issuer!r}, got {test.key!r};"
            f" write {issuer}:{test.claim}, because a key of another issuer never matches",
        )


def _value_findings(test: _Test, value: str, provider: str) -> Iterator[Finding]:
    wild = "*" in value or "?" in value
    if test.claim == "aud":
        if value.startswith(SUBJECT_PREFIX):
            yield Finding(
                "IRSA114",
                f"{test.key!r} must be an audience, got the subject {value!r}; test it under"
                f" {test.issuer + ':sub'!r}, and {STS_AUDIENCE!r} here",
            )
        elif wild or not value:
            yield Finding(
                "IRSA114",
                f"{test.key!r} must be one exact value, got {value!r}; the usual one is"
                f" {STS_AUDIENCE!r}",
            )
        return
    if wild and not test.is_like:
        yield Finding(
            "IRSA106",
            f"{test.key!r} must be one exact subject under {test.operator}, got {value!r}; there a"
            " wildcard matches nobody, so list the accounts or use StringLike",
        )
    elif value == "*":
        yield Finding(
            "IRSA101",
            f"{test.key!r} must name a subject, got '*'; write '{SUBJECT_PREFIX}NAMESPACE:NAME',"
            " because with it every service account of the cluster may assume the role",
        )
    elif value.startswith(SUBJECT_PREFIX):
        namespace, _, name = value.removeprefix(SUBJECT_PREFIX).partition(":")
        yield from _subject_findings(test, namespace, name)
    elif _is_of_kubernetes(value, provider):
        yield Finding(
            "IRSA107",
            f"{test.key!r} must be '{SUBJECT_PREFIX}NAMESPACE:NAME', got {value!r}; write that,"
            " because no token of the cluster carries another",
        )


def _subject_findings(test: _Test, namespace: str, name: str) -> Iterator[Finding]:
    wild = "*" in namespace or "?" in namespace
    for fault in namespace_faults(namespace):
        yield Finding("IRSA104" if wild else "IRSA107", f"{test.key!r}: {fault}")
    if test.is_like and ("*" in name or "?" in name):
        if not NAME_PATTERN.fullmatch(name):
            yield Finding(
                "IRSA107",
                f"{test.key!r}: service account name must use a-z, 0-9, '-', '.', '*' and '?', got"
                f" {name!r}; correct it",
            )
        return
    for fault in name_faults(name):
        yield Finding("IRSA107", f"{test.key!r}: {fault}")


def _is_oidc_provider(name: object) -> bool:
    return isinstance(name, str) and name not in ("*", *_NAMED_PROVIDERS) and ":saml-" not in name


def _is_of_kubernetes(value: str, provider: str) -> bool:
    """Whether the subject must be a service account's: other issuers have subjects of their own."""
    issuer = provider.partition(":oidc-provider/")[2]
    return (
        value.startswith(SUBJECT_PREFIX.removesuffix(":"))
        or value == STS_AUDIENCE
        or _EKS_ISSUER.match(issuer) is not None
    )


def _is_unknown(document: str) -> bool:
    """Whether the whole document is one deploy-time value."""
    return document.startswith("${Token[") and is_deploy_time(document)


def _list(value: Any) -> list[Any]:  # noqa: ANN401 (IAM takes one or many)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
