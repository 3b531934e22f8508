"""Issuers of tokens, and what of a token names the workload.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class IssuerKind:
    """What the tokens of an issuer say.

    Args:
        name: what people call it.
        issuers: matches the issuer, without `https://`.
        subjects: how its subjects start, up to who owns the workload. Default: no form.
        ends: what ends the owner. Default: nothing.
        owner: what the owner is called.
        example: a subject of it.
        audience_names: whether the audience is an application's own, and enough to name it.
    """

    name: str
    issuers: re.Pattern[str]
    subjects: str = ""
    ends: str = ""
    owner: str = "workload"
    example: str = "the exact subject"
    audience_names: bool = False

    @property
    def is_kubernetes(self) -> bool:
        """Whether its subjects are service accounts."""
        return self is KUBERNETES


KUBERNETES = IssuerKind(
    name="Kubernetes",
    issuers=re.compile(r"oidc[.-]eks\."),
    subjects="system:serviceaccount:",
    ends=":",
    owner="namespace",
    example="system:serviceaccount:NAMESPACE:NAME",
)
OTHER = IssuerKind(name="this issuer", issuers=re.compile(r"(?!)"))
_KINDS = (
    KUBERNETES,
    IssuerKind(
        name="GitHub",
        issuers=re.compile(r"token\.actions\.githubusercontent\.com|.*/_services/token"),
        subjects="repo:",
        ends="/",
        owner="organisation",
        example="repo:ORG/REPOSITORY:environment:NAME",
    ),
    IssuerKind(
        name="GitLab",
        issuers=re.compile(r"(.*\.)?gitlab\."),
        subjects="project_path:",
        ends="/",
        owner="group",
        example="project_path:GROUP/PROJECT:ref_type:branch:ref:main",
    ),
    IssuerKind(
        name="Terraform Cloud",
        issuers=re.compile(r"app\.(eu\.)?terraform\.io"),
        subjects="organization:",
        ends=":",
        owner="organisation",
        example="organization:ORG:project:PROJECT:workspace:NAME:run_phase:apply",
    ),
    IssuerKind(
        name="Buildkite",
        issuers=re.compile(r"agent\.buildkite\.com"),
        subjects="organization:",
        ends=":",
        owner="organisation",
        example="organization:ORG:pipeline:NAME:ref:refs/heads/main:commit:*:step:*",
    ),
    IssuerKind(name="Bitbucket", issuers=re.compile(r"api\.bitbucket\.org/"), audience_names=True),
    IssuerKind(
        name="CircleCI", issuers=re.compile(r"oidc\.circleci\.com/org/"), audience_names=True
    ),
    IssuerKind(name="Auth0", issuers=re.compile(r".*\.auth0\.com(/|$)"), audience_names=True),
    IssuerKind(
        name="Amazon Cognito",
        issuers=re.compile(r"cognito-(idp|identity)[.-]"),
        audience_names=True,
    ),
    IssuerKind(
        name="Google",
        issuers=re.compile(r"(accounts|securetoken)\.google\.com"),
        audience_names=True,
    ),
    IssuerKind(
        name="Entra ID",
        issuers=re.compile(r"sts\.windows\.net|login\.microsoftonline\.com"),
        audience_names=True,
    ),
    IssuerKind(
        name="Login with Amazon",
        issuers=re.compile(r"www\.amazon\.com$"),
        audience_names=True,
    ),
    IssuerKind(name="Facebook", issuers=re.compile(r"graph\.facebook\.com$"), audience_names=True),
    IssuerKind(
        name="SPIFFE",
        issuers=re.compile(r"(?!)"),
        subjects="spiffe://",
        ends="/",
        owner="trust domain",
        example="spiffe://TRUST-DOMAIN/WORKLOAD",
    ),
)


def kind_of_issuer(issuer: str) -> IssuerKind | None:
    """Return what *issuer* is by its name, if that tells."""
    return next((kind for kind in _KINDS if kind.issuers.match(issuer)), None)


def kind_of_subject(literal: str) -> IssuerKind | None:
    """Return whose subjects start like *literal*, if that tells."""
    return next(
        (
            kind
            for kind in _KINDS
            if kind.subjects
            and literal
            and (literal.startswith(kind.subjects) or kind.subjects.startswith(literal))
        ),
        None,
    )
