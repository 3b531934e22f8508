"""Whom a trust policy lets in: named subjects only, more than those, nobody, or not to be told.

See: https://docs.aws.amazon.com/eks/latest/best-practices/identity-and-access-management.html
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from irsa_stack.cloudformation.deploy_time import TOKEN, is_deploy_time
from irsa_stack.iam import globs
from irsa_stack.iam.arn import arn_faults
from irsa_stack.iam.conditions import (
    MalformedError,
    NotToldError,
    Test,
    is_placeholder,
    is_whole_token,
    without_placeholders,
)
from irsa_stack.iam.quotas import TRUST_POLICY_CHARACTERS_AT_MOST, document_characters
from irsa_stack.iam.statements import (
    ASSUME_ROLE,
    TAG_SESSION,
    WEB_IDENTITY,
    Statement,
    respelt,
    statement_of,
    statements_of,
)
from irsa_stack.review.claims import claim_findings
from irsa_stack.review.findings import Finding, finding
from irsa_stack.review.issuers import OTHER, IssuerKind, kind_of_issuer, kind_of_subject
from irsa_stack.review.rules import LOW, MEDIUM

ClientIds = Callable[[str], Sequence[str] | None]
"""The audiences that a provider lists, by its ARN; None if that is not known."""

_POD_IDENTITY = "pods.eks.amazonaws.com"
_BESIDE = (TAG_SESSION, "sts:setsourceidentity")
_ALTERNATIVES_AT_MOST = 256

# Providers that IAM knows by name.
_NAMED_PROVIDERS = (
    "accounts.google.com",
    "cognito-identity.amazonaws.com",
    "graph.facebook.com",
    "www.amazon.com",
)

_EKS_WITHOUT_ID = re.compile(r"oidc[.-]eks\.[^/${]+")

_NEVER = re.compile(
    r"aws:(source(arn|account|orgid|orgpaths|owner)|multifactorauth\w+|username|calledvia\w*"
    r"|principal(?!isawsservice|type)\w*(/.*)?|tokenissuetime)$|sts:externalid$|saml:.*"
)
"""Keys that no request of a web identity has, in lower case.

See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

_NARROWS = re.compile(
    r"aws:(principal|source|userid|username|multifactor|calledvia|resource|vpc|via)|sts:externalid|saml:"
)
"""Keys that tell AWS' own principals apart, in lower case."""

_NARROWS_ASSOCIATIONS = re.compile(
    r"aws:(source(arn|account|orgid|orgpaths)$|requesttag/(kubernetes-|eks-cluster-))"
)


@dataclass(frozen=True, kw_only=True)
class Place:
    """What is known of where a role is.

    Args:
        partition: its partition. Default: any.
        account: its AWS account. Default: any.
        client_ids: the audiences that a provider lists. Default: not known.
    """

    partition: str | None = None
    account: str | None = None
    client_ids: ClientIds = lambda _: None


def trust_policy_findings(
    document: Any,  # noqa: ANN401 (JSON)
    place: Place | None = None,
) -> Iterator[Finding]:
    """Say what is wrong with a trust policy; one without web identities has no findings.

    Args:
        document: the policy, as an object or as JSON text; may hold deploy-time values.
        place: where its role is. Default: anywhere.

    Examples:
        >>> [found] = trust_policy_findings('{"Statement": ')
        >>> found.id, found.message.partition(",")[0]
        ('IRSA100', 'trust policy must be JSON')
    """
    if is_whole_token(document):
        yield not_told("trust policy", document)
        return
    if isinstance(document, str):
        try:
            document = json.loads(document, object_pairs_hook=_once)
        except ValueError as error:
            yield finding(
                "IRSA100", f"trust policy must be JSON, got {document[:60]!r}; correct it: {error}"
            )
            return
    if not isinstance(document, Mapping):
        yield finding(
            "IRSA100", f"trust policy must be an object, got {document!r}; write its statements"
        )
        return
    yield from _Document(document, place or Place()).findings()


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key twice: which of them counts is up to who reads it."""
    for key, _ in pairs:
        if [name for name, _ in pairs].count(key) > 1:
            raise ValueError(f"{key!r} stands twice in one object")
    return dict(pairs)


def not_told(what: str, got: object) -> Finding:
    """Return the finding that *what* cannot be judged before the deploy."""
    shown = _shown(got)
    return finding(
        "IRSA901",
        f"{what} must be known before the deploy, got {shown}, so that whom it lets in cannot be"
        " told; write it out, give its parameter a Default or AllowedValues, or acknowledge this"
        " with a reason",
    )


class _Document:
    """One trust policy, all of whose parts are literal or a deploy-time value."""

    def __init__(self, document: Mapping[str, Any], place: Place) -> None:
        self._document: Mapping[str, Any] = document
        self._place = place
        self._statements: list[Statement] = []

    def findings(self) -> Iterator[Finding]:
        size = document_characters(self._document)
        if size > TRUST_POLICY_CHARACTERS_AT_MOST and "ebidentity" in json.dumps(
            self._document, default=str
        ).lower().replace("_", ""):
            yield finding(
                "IRSA119",
                f"trust policy must be at most {TRUST_POLICY_CHARACTERS_AT_MOST} characters, got"
                f" {size}; spread the service accounts over several roles",
            )
        yield from self._read()
        for statement in self._statements:
            if statement.allows:
                where = f"Statement/{statement.position}"
                yield from (one.within(where) for one in self._of(statement))

    def _read(self) -> Iterator[Finding]:
        self._document, misspelt = respelt(self._document)
        yield from (finding("IRSA100", fault) for fault in misspelt)
        version = self._document.get("Version")
        has_variables = version == "2012-10-17" or is_deploy_time(version)
        if not has_variables and "${" in TOKEN.sub("", json.dumps(self._document, default=str)):
            yield finding(
                "IRSA124",
                f"Version must be '2012-10-17' where variables are, got {version!r}; write it,"
                " because in another version ${...} is plain text",
                severity=LOW,
            )
        try:
            raws = list(statements_of(self._document))
        except NotToldError as error:
            yield not_told(error.path, self._document.get("Statement"))
            return
        except MalformedError as error:
            yield finding("IRSA100", str(error))
            return
        for position, raw in enumerate(raws):
            try:
                self._statements.append(statement_of(raw, position, variables=has_variables))
            except NotToldError as error:
                # A Deny that cannot be read rescues nothing, and lets nobody in.
                if not (isinstance(raw, Mapping) and raw.get("Effect") == "Deny"):
                    told = not_told(f"{error.path or 'statement'}", _at(raw, error.path))
                    yield told.within(f"Statement/{position}")
            except MalformedError as error:
                yield finding("IRSA100", str(error)).within(f"Statement/{position}")

    @property
    def _has_web_identities(self) -> bool:
        return any(statement.allows and _providers(statement) for statement in self._statements)

    def _of(self, statement: Statement) -> Iterator[Finding]:
        if statement.negated_principals:
            yield finding(
                "IRSA115",
                "statement must have Principal, got NotPrincipal; name those who may, in a"
                " statement that tests their claims, because it allows all the others",
            )
            return
        providers = _providers(statement)
        if statement.negated_actions and (providers or self._is_for_everybody(statement)):
            yield finding(
                "IRSA115",
                "statement must have Action, got NotAction; name what they may, because it allows"
                " all the others",
                severity=MEDIUM,
            )
        if self._is_for_everybody(statement):
            yield from self._everybody_findings(statement)
        if len(providers) > 1:
            yield finding(
                "IRSA111",
                f"Principal.Federated must name one provider, got {len(providers)}; give each"
                " provider a statement of its own, with keys of its own issuer, because no key"
                " holds the claims of both",
            )
        for provider in providers:
            yield from self._provider_findings(statement, provider, alone=len(providers) == 1)
        yield from self._others_findings(statement)

    @staticmethod
    def _is_for_everybody(statement: Statement) -> bool:
        principals = statement.principals
        return (
            principals.everybody
            or "*" in principals.of("AWS")
            or any("*" in name or "?" in name for name in principals.of("Federated"))
        )

    def _everybody_findings(self, statement: Statement) -> Iterator[Finding]:
        principals = statement.principals
        for_aws = principals.everybody or "*" in principals.of("AWS")
        if for_aws and statement.may_be_for(ASSUME_ROLE):
            for tests in self._alternatives(statement, "AWS", None):
                if not all(_passes_aws(test) for test in tests):
                    continue
                if any(_narrows(test, _NARROWS) for test in tests):
                    if self._has_web_identities:
                        yield self._beside("AWS", "*")
                    return
                yield finding(
                    "IRSA113",
                    "Principal must name who may assume the role, got '*', which is everybody in"
                    " AWS; remove the statement, or name them",
                )
                return
        if not statement.may_be_for(WEB_IDENTITY):
            return
        federated = principals.of("Federated")
        wild = next((name for name in federated if "*" in name or "?" in name), None)
        if wild is None and federated:
            # Named providers stand beside AWS: "*", and their keys close it to all others.
            passable = any(
                all(test.absent or not _is_claim(test) for test in tests)
                for tests in self._alternatives(statement, "Federated", None)
            )
            if not passable:
                return
        yield finding(
            "IRSA112",
            f"Principal.Federated must be the ARN of a provider, got {wild or '*'!r}; name the"
            " provider of the cluster, and test its subject and audience, because tokens of"
            " everybody would do",
        )

    def _others_findings(self, statement: Statement) -> Iterator[Finding]:
        """Judge principals that are no web identities."""
        for kind in ("AWS", "Service", "CanonicalUser"):
            for name in statement.principals.of(kind):
                if name == "*":
                    continue
                if kind == "Service" and name == _POD_IDENTITY:
                    yield from self._pod_identity_findings(statement)
                elif statement.may_be_for(ASSUME_ROLE):
                    if self._has_web_identities and any(
                        all(_passes_aws(test) for test in tests)
                        for tests in self._alternatives(statement, kind, name)
                    ):
                        yield self._beside(kind, name)
                elif statement.is_for(WEB_IDENTITY) and not _providers(statement):
                    yield finding(
                        "IRSA127",
                        "Principal must be Federated for 'sts:AssumeRoleWithWebIdentity', got"
                        f" {kind} {_shown(name)}; name the cluster's provider",
                    )

    @staticmethod
    def _beside(kind: str, name: str) -> Finding:
        return finding(
            "IRSA116",
            f"role of web identities must be for them only, got {kind} {_shown(name)} too; give"
            " that a role of its own",
        )

    def _pod_identity_findings(self, statement: Statement) -> Iterator[Finding]:
        if not statement.may_be_for(ASSUME_ROLE):
            return
        if not any(_narrows(test, _NARROWS_ASSOCIATIONS) for test in statement.tests):
            yield finding(
                "IRSA601",
                f"Condition for {_POD_IDENTITY!r} must say which cluster or service account, got"
                " none that does; add ArnEquals aws:SourceArn with the cluster's ARN, or"
                " StringEquals aws:RequestTag/kubernetes-namespace and"
                " aws:RequestTag/kubernetes-service-account, because any association of any"
                " cluster of the AWS account gets in",
            )
        if not any(
            other.allows
            and _POD_IDENTITY in other.principals.of("Service")
            and other.may_be_for(TAG_SESSION)
            for other in self._statements
        ):
            yield finding(
                "IRSA602",
                f"Action for {_POD_IDENTITY!r} must hold 'sts:TagSession', got none that does; add"
                " it, because EKS tags the sessions of pods",
            )

    def _provider_findings(
        self, statement: Statement, provider: str, *, alone: bool
    ) -> Iterator[Finding]:
        if not statement.may_be_for(WEB_IDENTITY):
            yield from _no_action_findings(statement)
            return
        yield from _action_findings(statement)
        yield from self._arn_findings(provider)
        named = [test for test in statement.tests if _is_claim(test)]
        issuer = _issuer_of(provider, named)
        kind = _kind_of(issuer, named)
        yield from self._closing_findings(statement, issuer, kind, alone=alone)
        for tests in self._alternatives(statement, "Federated", provider):
            by_claim: dict[str, list[Test]] = {}
            closed = False
            for test in tests:
                is_own = test in statement.tests
                claim = _claim(test, issuer, as_meant=alone and is_own)
                if claim is not None:
                    by_claim.setdefault(claim, []).append(test)
                elif not test.absent and not (is_own and alone):
                    closed = closed or _is_claim(test) or bool(_NEVER.match(test.name))
            if not closed:
                yield from claim_findings(
                    by_claim, issuer, kind, self._place.client_ids(provider), dead=alone
                )

    @staticmethod
    def _closing_findings(
        statement: Statement, issuer: str, kind: IssuerKind, *, alone: bool
    ) -> Iterator[Finding]:
        """Say which keys close the role to everybody."""
        for test in statement.tests:
            if alone and _is_claim(test):
                yield from _key_findings(test, issuer, kind)
            elif not test.absent and _NEVER.match(test.name):
                yield finding(
                    "IRSA121",
                    f"condition key must be one that requests of a web identity have, got"
                    f" {test.key!r}; remove it, because it closes the role to everybody",
                )
            elif not test.absent and test.name == "sts:roleauthorizedbyidp" and kind.is_kubernetes:
                yield finding(
                    "IRSA122",
                    f"{test.key!r} must not be asked of a cluster's tokens, got it; remove it,"
                    " because they have no claim that says so, which closes the role to everybody",
                )

    def _arn_findings(self, provider: str) -> Iterator[Finding]:
        if provider in _NAMED_PROVIDERS:
            return
        shown = without_placeholders(provider)
        _, found, issuer = shown.partition(":oidc-provider/")
        if not found and "://" in shown:
            yield finding(
                "IRSA117",
                f"Principal.Federated must be an ARN, got the URL {_shown(provider)}; write"
                " arn:aws:iam::ACCOUNT:oidc-provider/ISSUER, as IAM lists it",
            )
            return
        if found and "://" in issuer:
            yield finding(
                "IRSA117",
                f"Principal.Federated must hold the issuer without scheme, got {_shown(provider)};"
                f" write {_shown(shown.replace('https://', ''))}",
            )
            return
        if found and _EKS_WITHOUT_ID.fullmatch(issuer):
            yield finding(
                "IRSA117",
                f"Principal.Federated must end in the cluster's id, got {_shown(provider)}; write"
                f" {_shown(provider + '/id/ID')}, and the same in the condition keys, because no"
                " cluster has an issuer without it",
            )
            return
        if found and issuer and kind_of_issuer(issuer) is not None:
            shown = shown.removesuffix("/")  # Auth0's issuers end so
        account = re.match(r"arn:[^:]*:iam::([A-Za-z_-]+):", shown)
        if account:
            shown = shown.replace(f":{account[1]}:", ":${Token[account]}:", 1)
        for fault in arn_faults(
            shown,
            "oidc-provider",
            of="Principal.Federated",
            partition=self._place.partition,
            account=self._place.account,
        ):
            yield finding("IRSA117", fault)

    def _alternatives(
        self, statement: Statement, kind: str, name: str | None
    ) -> Iterator[tuple[Test, ...]]:
        """Return what lets a principal in: all tests of the Allow, and of each Deny one failing."""
        action = WEB_IDENTITY if kind == "Federated" else ASSUME_ROLE
        ways: list[tuple[Test, ...]] = []
        count = 1
        for deny in self._statements:
            if deny.allows or not deny.is_for(action) or not deny.surely_means(kind, name):
                continue
            if count * max(len(deny.tests), 1) > _ALTERNATIVES_AT_MOST:
                continue  # one Deny less lets in more, never less
            count *= max(len(deny.tests), 1)
            ways.append(tuple(test.opposite for test in deny.tests))
        for chosen in product(*ways):
            yield (*statement.tests, *chosen)


def _providers(statement: Statement) -> list[str]:
    if statement.negated_principals:
        return []
    return [
        name
        for name in statement.principals.of("Federated")
        if "*" not in name and "?" not in name and ":saml-provider/" not in name
    ]


def _no_action_findings(statement: Statement) -> Iterator[Finding]:
    if all(action in _BESIDE for action in statement.actions) and not statement.negated_actions:
        return
    yield finding(
        "IRSA109",
        "Action must be 'sts:AssumeRoleWithWebIdentity' for a web identity, got"
        f" {globs.readable(statement.actions[0])!r}; write that, because it lets in nobody",
    )


def _action_findings(statement: Statement) -> Iterator[Finding]:
    if statement.negated_actions:
        return
    for action in statement.actions:
        if action not in (WEB_IDENTITY, *_BESIDE, globs.UNKNOWN):
            yield finding(
                "IRSA109",
                "Action must be 'sts:AssumeRoleWithWebIdentity' for a web identity, got"
                f" {globs.readable(action)!r}; write that, and put other principals into a"
                " statement of their own",
                severity=LOW,
            )
            return


def _issuer_of(provider: str, named: Iterable[Test]) -> str:
    """Return the issuer of *provider*, from the keys if only they tell."""
    issuer = re.sub(r"^(.*:oidc-provider[:/])?(https?://)?", "", provider)
    if not is_whole_token(issuer) and not _EKS_WITHOUT_ID.fullmatch(issuer):
        return issuer
    keys = {test.key.rpartition(":")[0] for test in named}
    literal = {key for key in keys if "." in key and not is_deploy_time(key) and "$" not in key}
    return literal.pop() if len(literal) == 1 else issuer


def _kind_of(issuer: str, named: Sequence[Test]) -> IssuerKind:
    kind = kind_of_issuer(issuer.lower())
    if kind is not None:
        return kind
    for test in named:
        if test.name.endswith(":sub"):
            for pattern in test.globs:
                literal = re.split(
                    f"[{globs.MANY}{globs.ONE}{globs.UNKNOWN}{globs.PLAIN}]", pattern
                )
                kind = kind_of_subject(literal[0])
                if kind is not None:
                    return kind
    if is_deploy_time(issuer) or is_placeholder(issuer):
        return kind_of_issuer("oidc.eks.") or OTHER
    return OTHER


def _is_claim(test: Test) -> bool:
    """Whether the key is one of a token, or of nothing: not AWS' own."""
    return not test.name.startswith(("aws:", "sts:", "saml:"))


def _claim(test: Test, issuer: str, *, as_meant: bool) -> str | None:
    """Return the claim of *issuer* that is tested, or None if it is another key.

    Args:
        test: the test.
        issuer: may be known only at deploy time.
        as_meant: whether a key that never matches counts as the claim that was meant; it has a
            finding of its own.
    """
    if not _is_claim(test):
        return None
    prefix, _, claim = test.name.strip().rpartition(":")
    if _is_of(prefix, issuer) or (as_meant and not test.absent):
        return claim
    return None


def _is_of(prefix: str, issuer: str) -> bool:
    """Whether keys with *prefix*, in lower case, are or may be of *issuer*."""
    if prefix == issuer.lower():
        return True
    one, other = _issuer_glob(prefix), _issuer_glob(issuer)
    if globs.is_exact(one) and globs.is_exact(other):
        return False
    return ("." in prefix or not globs.is_exact(one)) and globs.overlap(one, other)


def _issuer_glob(issuer: str) -> str:
    text = re.sub(TOKEN.pattern, globs.MANY, without_placeholders(issuer), flags=re.IGNORECASE)
    return text.lower()


def _key_findings(test: Test, issuer: str, kind: IssuerKind) -> Iterator[Finding]:
    prefix, _, claim = test.key.rpartition(":")
    meant = _shown(f"{issuer}:{claim.strip().lower() or 'sub'}")
    if "://" in test.key:
        yield finding(
            "IRSA110", f"condition key must have no scheme, got {test.key!r}; write {meant}"
        )
    elif not _is_of(prefix.lower(), issuer) or test.key != test.key.strip():
        yield finding(
            "IRSA110",
            f"condition key must start with the issuer of the provider, {_shown(issuer)}, got"
            f" {test.key!r}; write {meant}, because another key never matches",
        )
    elif kind.is_kubernetes and not test.absent and claim.lower() in ("amr", "email", "app_id"):
        yield finding(
            "IRSA110",
            f"condition key must be a claim that tokens of Kubernetes have, got {test.key!r}; write"
            f" {_shown(f'{issuer}:sub')}",
        )


def _passes_aws(test: Test) -> bool:
    """Whether a principal of AWS, whose request has no claims, may pass."""
    return test.absent or not _is_claim(test)


def _narrows(test: Test, keys: re.Pattern[str]) -> bool:
    """Whether *test* asks one of *keys* for a value that not all have."""
    return (
        keys.match(test.name) is not None
        and not test.absent
        and not test.negated
        and test.kind != "null"
        and not any(globs.is_everything(pattern) for pattern in test.patterns)
    )


def _at(raw: object, path: str) -> object:
    for part in filter(None, path.split(".")):
        raw = raw.get(part) if isinstance(raw, Mapping) else None
    return raw


def _shown(value: object) -> str:
    return repr(value)
