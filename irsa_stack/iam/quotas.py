"""IAM's limits, met at synth instead of at deploy, with the worst length of deploy-time values."""

import json
import re
from collections.abc import Iterator, Mapping, Sized
from typing import Any

from irsa_stack.cloudformation.deploy_time import TOKEN, is_deploy_time, is_placeholder
from irsa_stack.cloudformation.outcomes import Template
from irsa_stack.iam.issuer import LONGEST_EKS_ISSUER

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
TRUST_POLICY_CHARACTERS = 2_048
TRUST_POLICY_CHARACTERS_AT_MOST = 8_192
MANAGED_POLICY_CHARACTERS = 6_144
INLINE_POLICIES_CHARACTERS = 10_240
ROLE_NAME_CHARACTERS = 64
PATH_CHARACTERS = 512
DESCRIPTION_CHARACTERS = 1_000
THUMBPRINTS = 5
TAGS = 50
MANAGED_POLICIES = 10
MANAGED_POLICIES_AT_MOST = 20
SESSION_SECONDS = (3_600, 43_200)

LONGEST_TOKEN = 128
"""Characters that a deploy-time value counts as when nothing better is known of it."""

_LONGEST_PSEUDO_PARAMETER = {
    "AWS.Partition": len("aws-us-gov"),
    "AWS.AccountId": 12,
    "AWS.Region": len("us-isof-south-1"),
    "AWS.URLSuffix": len("amazonaws.com.cn"),
}
_ROLE_NAME = re.compile(r"[\w+=,.@-]+", re.ASCII)
_PATH = re.compile(r"/(?:[!-.0-~]+/)*", re.ASCII)
# https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
_DESCRIPTION = re.compile("[\t\n\r\u0020-\u007e\u00a1-\u00ff]*")


def document_characters(
    document: Mapping[str, Any], longest: Mapping[str, int] | None = None
) -> int:
    """Count *document* as IAM does, without white space, tokens at their longest.

    Args:
        document: the policy; strings may hold deploy-time values.
        longest: characters of each known token, by its text. Default: pseudo parameters at their
            real longest, others at `LONGEST_TOKEN`.
    """
    known = longest or {}
    text = json.dumps(document, separators=(",", ":"), default=str)
    return len(TOKEN.sub(lambda token: "x" * _token_characters(token[0], known), text))


def longest_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return *document* of a template as `document_characters` counts it.

    Pseudo parameters have their longest value, what else only the deploy can tell is a token.
    """
    known = {
        f"AWS::{pseudo.removeprefix('AWS.')}": "x" * characters
        for pseudo, characters in _LONGEST_PSEUDO_PARAMETER.items()
    }
    found: dict[str, Any] = Template(resources={}, known=known).resolved(document)
    return found


def trust_policy_size_faults(
    document: Mapping[str, Any],
    *,
    role: str,
    allowed: int = TRUST_POLICY_CHARACTERS,
    longest: Mapping[str, int] | None = None,
) -> Iterator[str]:
    """Say why the trust policy of *role* would not fit."""
    if not TRUST_POLICY_CHARACTERS <= allowed <= TRUST_POLICY_CHARACTERS_AT_MOST:
        yield (
            f"trust_policy_characters must be {TRUST_POLICY_CHARACTERS}"
            f"-{TRUST_POLICY_CHARACTERS_AT_MOST}, got {allowed!r}; that is the range of quota"
            " L-C07B4B0D"
        )
    size = document_characters(document, longest)
    if size > allowed:
        yield (
            f"trust policy of {role} must be at most {allowed} characters, got {size} at the"
            " longest; split the service accounts over several roles, use subject_patterns, or"
            " raise quota L-C07B4B0D and pass trust_policy_characters"
        )


def inline_policies_faults(
    documents: Mapping[str, Mapping[str, Any]], *, role: str
) -> Iterator[str]:
    """Say why the inline policies of *role* would not fit together."""
    size = sum(document_characters(document) for document in documents.values())
    if size > INLINE_POLICIES_CHARACTERS:
        yield (
            f"inline policies of {role} must be at most {INLINE_POLICIES_CHARACTERS} characters"
            f" together, got {size} at the longest; move some into managed_policies, or"
            " into an iam.ManagedPolicy that has the role in its roles"
        )


def managed_policy_faults(document: Mapping[str, Any], *, policy: str) -> Iterator[str]:
    """Say why the managed policy would not fit."""
    size = document_characters(document)
    if size > MANAGED_POLICY_CHARACTERS:
        yield (
            f"managed policy {policy} must be at most {MANAGED_POLICY_CHARACTERS} characters, got"
            f" {size} at the longest; split its statements over several policies"
        )


def managed_policies_faults(policies: Sized, *, of: str = "managed_policies") -> Iterator[str]:
    """Say why IAM would attach no such number of managed policies to one role."""
    if len(policies) > MANAGED_POLICIES_AT_MOST:
        yield (
            f"{of} must be at most {MANAGED_POLICIES_AT_MOST}, got {len(policies)}; join some into"
            " one, because IAM raises its quota no further"
        )


def role_name_faults(role_name: str | None, *, of: str = "role_name") -> Iterator[str]:
    """Say why IAM would refuse the name of a role."""
    written = _written(role_name)
    if written is None:
        return
    if len(written) > ROLE_NAME_CHARACTERS:
        yield (
            f"{of} must be at most {ROLE_NAME_CHARACTERS} characters, got"
            f" {_count(written, role_name)}: {role_name!r}; shorten it, or leave it out and"
            " CloudFormation names the role"
        )
    elif not _ROLE_NAME.fullmatch(written):
        yield f"{of} must use letters, digits and _+=,.@-, got {role_name!r}; leave the others out"


def path_faults(path: str | None, *, of: str = "path") -> Iterator[str]:
    """Say why IAM would refuse the path of a role."""
    written = _written(path)
    if path is None or written is None:
        return
    if len(written) > PATH_CHARACTERS:
        yield (
            f"{of} must be at most {PATH_CHARACTERS} characters, got"
            f" {_count(written, path)}; shorten it"
        )
    elif not _PATH.fullmatch(written):
        guess = "/" + "/".join(part for part in path.split("/") if part)
        yield f"{of} must start and end with '/', got {path!r}; try {guess.rstrip('/') + '/'!r}"


def description_faults(description: str | None, *, of: str = "description") -> Iterator[str]:
    """Say why IAM would refuse the description of a role."""
    written = _written(description)
    if written is None:
        return
    if len(written) > DESCRIPTION_CHARACTERS:
        yield (
            f"{of} must be at most {DESCRIPTION_CHARACTERS} characters, got"
            f" {_count(written, description)}; shorten it"
        )
    elif not _DESCRIPTION.fullmatch(written):
        yield f"{of} must use Latin-1 characters, got {description!r}; replace the others"


def session_faults(seconds: float | None, *, of: str = "max_session_duration") -> Iterator[str]:
    """Say why IAM would refuse the longest session of a role."""
    shortest, longest = SESSION_SECONDS
    if seconds is not None and not shortest <= seconds <= longest:
        yield f"{of} must be 1 to 12 hours, got {seconds} seconds; IAM allows no other"


def tags_faults(count: int, *, of: str, own: int = 0) -> Iterator[str]:
    """Say why IAM would refuse that many tags, *own* of which the user did not give."""
    if count > TAGS:
        ours = f" with {own} that every such role has" if own else ""
        yield f"tags of {of} must be at most {TAGS}, got {count}{ours}; remove some"


def _written(text: str | None) -> str | None:
    """Return *text* with its deploy-time values as so many letters; None if there is no text yet.

    Pseudo parameters count as their longest value, all others as one character: a name holds few,
    and at their longest a name and a parameter would never fit together.
    """
    if text is None or TOKEN.fullmatch(text) or is_placeholder(text):
        return None
    return TOKEN.sub(lambda token: "x" * _token_characters(token[0], {}, unknown=1), text)


def _count(written: str, text: str | None) -> str:
    return f"{len(written)} at the longest" if is_deploy_time(text) else f"{len(written)}"


def _token_characters(token: str, known: Mapping[str, int], *, unknown: int = LONGEST_TOKEN) -> int:
    if token in known:
        return known[token]
    for pseudo, characters in _LONGEST_PSEUDO_PARAMETER.items():
        if token.startswith(f"${{Token[{pseudo}."):
            return characters
    return unknown


def longest_provider_tokens(provider_arn: str, issuer: str) -> dict[str, int]:
    """Longest lengths of the tokens that an OIDC provider brings into a trust policy."""
    lengths = dict.fromkeys(TOKEN.findall(issuer), LONGEST_EKS_ISSUER)
    if TOKEN.fullmatch(provider_arn):
        lengths[provider_arn] = (
            len("arn:aws-us-gov:iam::111122223333:oidc-provider/") + LONGEST_EKS_ISSUER
        )
    return lengths
