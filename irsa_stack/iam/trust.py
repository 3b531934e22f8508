"""Who may assume a role: trust policies as plain dictionaries."""

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.faults import InvalidInput, no_list_faults, refuse
from irsa_stack.iam import globs
from irsa_stack.iam.arn import arn_faults
from irsa_stack.iam.issuer import issuer_faults
from irsa_stack.kubernetes.identity import SUBJECT_PREFIX, ServiceAccountIdentity, namespace_faults

STS_AUDIENCE = "sts.amazonaws.com"
"""The audience of IRSA tokens in *every* partition, China included: it is no endpoint."""

ASSUME_ROLE_ACTION = "sts:AssumeRoleWithWebIdentity"

NAME_PATTERN = re.compile(r"[a-z0-9.*?-]+")
"""The characters of a service account's name, and IAM's wildcards."""


def trust_policy(
    *,
    provider_arn: str,
    issuer: str,
    service_accounts: Sequence[ServiceAccountIdentity | str] = (),
    audience: str = STS_AUDIENCE,
    subject_patterns: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the trust policy that lets exactly these service accounts assume a role.

    `aud` is always tested with `StringEquals`. Exact subjects are tested with `StringEquals`,
    patterns with `StringLike`, in a statement of their own, so that neither loosens the other.

    Args:
        provider_arn: ARN of the IAM OIDC provider, in the role's account.
        issuer: host and path of the OIDC issuer, without `https://`.
        service_accounts: identities, or `namespace/name`. Default: none.
        audience: value of the `aud` claim. Default: `sts.amazonaws.com`, in every partition.
        subject_patterns: `namespace/name` with `*` or `?` in the name. Default: none.

    Raises:
        InvalidInput: a rule is broken, or nobody would be trusted; all faults are listed.

    Examples:
        >>> policy = trust_policy(
        ...     provider_arn="arn:aws:iam::111122223333:oidc-provider/oidc.example.com/id/1",
        ...     issuer="oidc.example.com/id/1",
        ...     service_accounts=["apps/api"],
        ... )
        >>> policy["Statement"][0]["Condition"]["StringEquals"]["oidc.example.com/id/1:sub"]
        'system:serviceaccount:apps:api'

    See:
        https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
    """
    return {
        "Version": "2012-10-17",
        "Statement": trust_statements(
            provider_arn=provider_arn,
            issuer=issuer,
            service_accounts=service_accounts,
            audience=audience,
            subject_patterns=subject_patterns,
        ),
    }


def trust_statements(
    *,
    provider_arn: str,
    issuer: str,
    service_accounts: Sequence[ServiceAccountIdentity | str] = (),
    audience: str = STS_AUDIENCE,
    subject_patterns: Sequence[str] = (),
    without_default: bool = False,
) -> list[dict[str, Any]]:
    """Return the statements of `trust_policy`: one for exact subjects, one for patterns.

    Args:
        provider_arn: as for `trust_policy`, like all that is not said here.
        issuer: likewise.
        service_accounts: likewise.
        audience: likewise.
        subject_patterns: likewise.
        without_default: whether no pattern lets in an account named `default`.
    """
    service_accounts, subject_patterns = listed(service_accounts), listed(subject_patterns)
    faults = [
        *arn_faults(provider_arn, "oidc-provider", of="provider_arn"),
        *issuer_faults(issuer),
        *_provider_faults(provider_arn, issuer),
        *_audience_faults(audience),
    ]
    subjects = _subjects(service_accounts, faults)
    patterns = _patterns(subject_patterns, faults)
    if not service_accounts and not subject_patterns:
        faults.append(
            "service_accounts must name at least one service account, got none; without a subject"
            " every account of the cluster could assume the role"
        )
    refuse(faults)

    def statement(**conditions: dict[str, Any]) -> dict[str, Any]:
        return {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn},
            "Action": ASSUME_ROLE_ACTION,
            "Condition": conditions,
        }

    aud, sub = f"{issuer}:aud", f"{issuer}:sub"
    statements = []
    if subjects:
        statements.append(statement(StringEquals={aud: audience, sub: _one_or_many(subjects)}))
    if patterns:
        defaults = _defaults(patterns) if without_default else []
        but = {"StringNotEquals": {sub: _one_or_many(defaults)}} if defaults else {}
        statements.append(
            statement(StringEquals={aud: audience}, StringLike={sub: _one_or_many(patterns)}, **but)
        )
    return statements


def listed(values: Any) -> Any:  # noqa: ANN401 (whatever a caller may give)
    """Return *values* as a tuple, since a generator gives each of them once only.

    A set is sorted: its own order is another one in each synth. What is no list is returned as it
    is, for the fault that names it.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        return values
    return tuple(sorted(values, key=str) if isinstance(values, AbstractSet) else values)


def identities(
    service_accounts: Iterable[ServiceAccountIdentity | str],
) -> tuple[ServiceAccountIdentity, ...]:
    """Return *service_accounts* as identities, reading `namespace/name` where a string stands.

    Raises:
        InvalidInput: a string is no `namespace/name`; all faults are listed.
    """
    faults: list[str] = []
    found = _identities(service_accounts, faults)
    refuse(faults)
    return tuple(found)


def default_account_faults(
    service_accounts: Iterable[ServiceAccountIdentity], *, allowed: bool
) -> Iterator[str]:
    """Refuse the account that every pod of a namespace has unless it says otherwise."""
    if allowed:
        return
    for identity in service_accounts:
        if identity.name == "default":
            yield (
                f"service account must not be {str(identity)!r}: every pod of the namespace that"
                " names no account would get the role; make an account of its own, or set"
                " allow_default_service_account"
            )


def _identities(
    service_accounts: Iterable[ServiceAccountIdentity | str], faults: list[str]
) -> list[ServiceAccountIdentity]:
    shown = service_accounts
    if isinstance(shown, ServiceAccountIdentity):
        shown = str(shown)
    if no_list := no_list_faults(shown, of="service_accounts"):
        faults.extend(no_list)
        return []
    found: list[ServiceAccountIdentity] = []
    for account in service_accounts:
        if isinstance(account, ServiceAccountIdentity):
            found.append(account)
            continue
        try:
            found.append(ServiceAccountIdentity.parse(account))
        except InvalidInput as error:
            faults.extend(error.faults)
    return found


def _subjects(
    service_accounts: Iterable[ServiceAccountIdentity | str], faults: list[str]
) -> list[str]:
    subjects = [identity.subject for identity in _identities(service_accounts, faults)]
    faults.extend(
        f"service_accounts must name each account once, got {subject!r} twice; remove one"
        for subject in _twice(subjects)
    )
    return subjects


def _patterns(subject_patterns: Sequence[str], faults: list[str]) -> list[str]:
    if no_list := no_list_faults(subject_patterns, of="subject_patterns"):
        faults.extend(no_list)
        return []
    patterns = []
    for pattern in subject_patterns:
        namespace, name = _split_pattern(str(pattern))
        faults.extend(
            f"subject_patterns {pattern!r}: {fault}" for fault in namespace_faults(namespace)
        )
        if not NAME_PATTERN.fullmatch(name):
            faults.append(
                "subject_patterns must be 'namespace/name' with a-z, 0-9, '-', '.', '*' and '?' in"
                f" the name, got {pattern!r}; such as 'apps/build-*'"
            )
        elif "*" not in name and "?" not in name:
            faults.append(
                f"subject_patterns must hold '*' or '?', got {pattern!r}; an exact account belongs"
                " into service_accounts"
            )
        patterns.append(f"{SUBJECT_PREFIX}{namespace}:{name}")
    faults.extend(
        f"subject_patterns must hold each pattern once, got {pattern!r} twice; remove one"
        for pattern in _twice(patterns)
    )
    return patterns


def _defaults(patterns: Sequence[str]) -> list[str]:
    """Return the `default` accounts that *patterns* match: pods that name no account have them."""
    found = dict.fromkeys(f"{pattern.rpartition(':')[0]}:default" for pattern in patterns)
    wild = str.maketrans({"*": globs.MANY, "?": globs.ONE})
    return [
        default
        for default in found
        if any(globs.matches(pattern.translate(wild), default) for pattern in patterns)
    ]


def _twice(values: list[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})


def _split_pattern(pattern: str) -> tuple[str, str]:
    """Read `namespace/name`, or the whole subject as eksctl's `subjectPattern` has it."""
    if pattern.startswith(SUBJECT_PREFIX):
        namespace, _, name = pattern.removeprefix(SUBJECT_PREFIX).partition(":")
    else:
        namespace, _, name = pattern.partition("/")
    return namespace, name


def _provider_faults(provider_arn: object, issuer: object) -> Iterator[str]:
    if not isinstance(provider_arn, str) or not isinstance(issuer, str):
        return
    _, found, of_provider = provider_arn.partition(":oidc-provider/")
    if found and not is_deploy_time(of_provider) and not is_deploy_time(issuer):
        expected = issuer.removeprefix("https://")
        if of_provider != expected:
            yield (
                f"provider_arn must end in the issuer {expected!r}, got {provider_arn!r}; a key of"
                " another issuer never matches"
            )


def _audience_faults(audience: object) -> Iterator[str]:
    if not isinstance(audience, str) or not audience or "*" in audience or "?" in audience:
        yield f"audience must be one exact value, got {audience!r}; the usual one is {STS_AUDIENCE}"
    elif audience.startswith(SUBJECT_PREFIX):
        yield (
            f"audience must be no subject, got {audience!r}; name the account in service_accounts"
        )


def _one_or_many(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
