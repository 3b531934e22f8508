"""What the review asks for, as data: one table for plugin, command and docs."""

from collections.abc import Mapping
from dataclasses import dataclass

CRITICAL, HIGH, MEDIUM, LOW, INFO = SEVERITIES = ("critical", "high", "medium", "low", "info")
"""What lets in more than was named is high or critical; nobody, or what cannot be told, medium."""

_IAM = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
_EKS = "https://docs.aws.amazon.com/eks/latest/userguide/"
_BEST_PRACTICES = (
    "https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html"
)
_OPERATORS = f"{_IAM}reference_policies_elements_condition_operators.html"
_KEYS = f"{_IAM}reference_policies_iam-condition-keys.html"
_PRINCIPAL = f"{_IAM}reference_policies_elements_principal.html"
_ASSOCIATE = f"{_EKS}associate-service-account-role.html"
_POD_IDENTITY = f"{_EKS}pod-id-role.html"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One thing that the review asks for.

    Args:
        name: a short name in words with dashes.
        severity: one of `SEVERITIES`.
        sentence: what must hold.
        fix: what to do when it does not.
        source: the page that it rests on.
    """

    name: str
    severity: str
    sentence: str
    fix: str
    source: str


RULES: Mapping[str, Rule] = {
    "IRSA100": Rule(
        name="well-formed",
        severity=MEDIUM,
        sentence="a trust policy is JSON that IAM takes",
        fix="correct what the message names; IAM refuses the policy",
        source=f"{_IAM}reference_policies_grammar.html",
    ),
    "IRSA101": Rule(
        name="subject-tested",
        severity=CRITICAL,
        sentence="the subject is tested; without it every workload of the issuer gets in",
        fix="add the exact subject under StringEquals",
        source=_BEST_PRACTICES,
    ),
    "IRSA102": Rule(
        name="audience-tested",
        severity=HIGH,
        sentence="the audience is tested; without it tokens made for other services get in",
        fix="add `sts.amazonaws.com` under StringEquals",
        source=_ASSOCIATE,
    ),
    "IRSA103": Rule(
        name="not-every-subject",
        severity=CRITICAL,
        sentence="a subject does not match every workload of the issuer",
        fix="write exact subjects under StringEquals",
        source=_BEST_PRACTICES,
    ),
    "IRSA104": Rule(
        name="exact-namespace",
        severity=HIGH,
        sentence="the namespace is one exact name; for other issuers, the organisation",
        fix="list the namespaces",
        source=_BEST_PRACTICES,
    ),
    "IRSA105": Rule(
        name="pattern-in-name",
        severity=INFO,
        sentence="the name of a service account is exact; a pattern lets in future ones too",
        fix="list the names, unless the pattern is meant",
        source=_BEST_PRACTICES,
    ),
    "IRSA106": Rule(
        name="wildcard-needs-like",
        severity=MEDIUM,
        sentence="a wildcard is under `StringLike`; under `StringEquals` it matches nobody",
        fix="write an exact value, or StringLike",
        source=_OPERATORS,
    ),
    "IRSA107": Rule(
        name="possible-subject",
        severity=MEDIUM,
        sentence="a subject is one that Kubernetes gives out:"
        " `system:serviceaccount:NAMESPACE:NAME`",
        fix="correct the subject",
        source="https://kubernetes.io/docs/reference/access-authn-authz/authentication/",
    ),
    "IRSA108": Rule(
        name="claim-required",
        severity=HIGH,
        sentence="no test passes a token that lacks the claim, or has another value:"
        " no `...IfExists`, `ForAllValues:`, `StringNot...` or `Null` alone",
        fix="write StringEquals",
        source=_OPERATORS,
    ),
    "IRSA109": Rule(
        name="web-identity-action",
        severity=MEDIUM,
        sentence="a web identity gets `sts:AssumeRoleWithWebIdentity` and nothing else",
        fix="write that action; give other principals a statement of their own",
        source=_ASSOCIATE,
    ),
    "IRSA110": Rule(
        name="key-of-issuer",
        severity=MEDIUM,
        sentence="condition keys are a claim of the provider's issuer, without `https://`",
        fix="write ISSUER:sub and ISSUER:aud",
        source=_KEYS,
    ),
    "IRSA111": Rule(
        name="one-provider",
        severity=HIGH,
        sentence="a statement names one provider",
        fix="give each provider a statement of its own",
        source=_KEYS,
    ),
    "IRSA112": Rule(
        name="named-provider",
        severity=CRITICAL,
        sentence="a web identity is trusted through a provider that is named, not through `*`",
        fix="name the cluster's provider",
        source=_PRINCIPAL,
    ),
    "IRSA113": Rule(
        name="not-everybody",
        severity=CRITICAL,
        sentence="a role is not for everybody in AWS",
        fix="remove the statement",
        source=_PRINCIPAL,
    ),
    "IRSA114": Rule(
        name="exact-audience",
        severity=HIGH,
        sentence="the audience is one exact value, one that the provider lists, and no subject",
        fix="write `sts.amazonaws.com` under StringEquals",
        source=_ASSOCIATE,
    ),
    "IRSA115": Rule(
        name="says-who-may",
        severity=HIGH,
        sentence="the policy says who may do what: no `NotPrincipal`, no `NotAction`",
        fix="name those who may",
        source=f"{_IAM}reference_policies_elements_notprincipal.html",
    ),
    "IRSA116": Rule(
        name="service-accounts-only",
        severity=HIGH,
        sentence="a role of web identities is not also for an AWS account, user, role or service",
        fix="give the others a role of their own",
        source=_BEST_PRACTICES,
    ),
    "IRSA117": Rule(
        name="usable-provider",
        severity=MEDIUM,
        sentence="the provider is of this partition and account, and its ARN well-formed",
        fix="write the ARN as IAM lists it",
        source=_PRINCIPAL,
    ),
    "IRSA119": Rule(
        name="within-quota",
        severity=MEDIUM,
        sentence="the policy fits IAM's largest quota, 8,192 characters",
        fix="spread the service accounts over several roles",
        source=f"{_IAM}reference_iam-quotas.html",
    ),
    "IRSA121": Rule(
        name="key-of-web-identity",
        severity=MEDIUM,
        sentence="no condition asks for a key that a web identity's request never has",
        fix="remove the condition",
        source=f"{_IAM}reference_policies_condition-keys.html",
    ),
    "IRSA122": Rule(
        name="not-authorized-by-idp",
        severity=MEDIUM,
        sentence="`sts:RoleAuthorizedByIdp` is not asked of a cluster's tokens, which have no such"
        " claim",
        fix="remove the condition",
        source=_KEYS,
    ),
    "IRSA124": Rule(
        name="version-with-variables",
        severity=LOW,
        sentence="a policy with variables has version 2012-10-17; in others they are plain text",
        fix='write "Version": "2012-10-17"',
        source=f"{_IAM}reference_policies_elements_version.html",
    ),
    "IRSA125": Rule(
        name="some-value",
        severity=MEDIUM,
        sentence="a condition lists at least one value",
        fix="name a subject, or remove the statement",
        source=_OPERATORS,
    ),
    "IRSA127": Rule(
        name="federated-principal",
        severity=MEDIUM,
        sentence="the principal of `sts:AssumeRoleWithWebIdentity` is `Federated`",
        fix="name the cluster's provider as Federated",
        source=_PRINCIPAL,
    ),
    "IRSA501": Rule(
        name="role-annotation",
        severity=MEDIUM,
        sentence="the role annotation of a service account holds the ARN of a role",
        fix="copy the ARN from IAM",
        source=_ASSOCIATE,
    ),
    "IRSA504": Rule(
        name="not-default",
        severity=INFO,
        sentence="the service account is not `default`, which pods have that name no other",
        fix="make a service account of its own, unless it is meant",
        source=_BEST_PRACTICES,
    ),
    "IRSA601": Rule(
        name="association-tested",
        severity=HIGH,
        sentence="a statement for `pods.eks.amazonaws.com` says which cluster or service account",
        fix="test aws:SourceArn, or aws:RequestTag/kubernetes-namespace and the like",
        source=_POD_IDENTITY,
    ),
    "IRSA602": Rule(
        name="tag-session",
        severity=MEDIUM,
        sentence="`pods.eks.amazonaws.com` may `sts:TagSession` too; without it no pod gets in",
        fix="add sts:TagSession to the actions",
        source=_POD_IDENTITY,
    ),
    "IRSA901": Rule(
        name="can-be-told",
        severity=MEDIUM,
        sentence="it can be told before the deploy whom a role lets in",
        fix="write the value out, or give its parameter a Default or AllowedValues",
        source="https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/"
        "intrinsic-function-reference.html",
    ),
}
"""The rules, by the id that acknowledges them."""
