"""Whether the claims that a statement tests close it to all but named workloads.

Which subjects get in is computed: the globs of `system:serviceaccount:NAMESPACE:NAME` that pass.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from irsa_stack.cloudformation.deploy_time import is_deploy_time
from irsa_stack.iam import globs
from irsa_stack.iam.conditions import Test
from irsa_stack.iam.trust import STS_AUDIENCE
from irsa_stack.kubernetes.identity import SUBJECT_PREFIX, name_faults, namespace_faults
from irsa_stack.review.findings import Finding, finding
from irsa_stack.review.issuers import KUBERNETES, IssuerKind
from irsa_stack.review.rules import MEDIUM

_WILD = globs.MANY + globs.ONE
_LETTERS = re.compile(rf"[a-z0-9{_WILD}{globs.UNKNOWN}{globs.PLAIN}-]+")
_NAME_LETTERS = re.compile(rf"[a-z0-9.{_WILD}{globs.UNKNOWN}{globs.PLAIN}-]+")
_AUDIENCE_CLAIMS = ("aud", "azp", "oaud", "app_id")
_NAME_NOBODY = ("amr", "iss")
"""Claims that all tokens of an issuer share, or many."""


def claim_findings(
    tests: Mapping[str, Sequence[Test]],
    issuer: str,
    kind: IssuerKind,
    client_ids: Sequence[str] | None,
    *,
    dead: bool,
) -> Iterator[Finding]:
    """Judge the tests of one statement on the claims of one issuer.

    Args:
        tests: tests by claim; all must pass.
        issuer: the issuer, for keys in advice.
        kind: what its tokens say.
        client_ids: audiences that the provider lists; None if not known.
        dead: whether to say what lets in nobody, too.
    """
    if kind.is_kubernetes:
        yield from _audience_findings(tests.get("aud", ()), issuer, client_ids, dead=dead)
        yield from _subject_findings(tests.get("sub", ()), issuer, dead=dead)
    else:
        yield from _other_findings(tests, issuer, kind, dead=dead)


# Kubernetes


@dataclass(frozen=True, slots=True)
class Subjects:
    """Service accounts, as globs of namespace and name."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Return who that is, in words."""
        return f"{_named('service account', self.name)} of {_named('namespace', self.namespace)}"

    @property
    def text(self) -> str:
        """The glob of their subjects."""
        return f"{SUBJECT_PREFIX}{self.namespace}:{self.name}"

    @property
    def is_of_one_namespace(self) -> bool:
        """Whether all are of one namespace that somebody named."""
        return globs.is_exact(self.namespace)

    @property
    def is_everybody(self) -> bool:
        """Whether these are all service accounts of the cluster."""
        return globs.is_everything(self.namespace) and globs.is_everything(self.name)


def _named(what: str, glob: str) -> str:
    if globs.is_everything(glob):
        return f"every {what}"
    if globs.is_exact(glob):
        return (
            f"every account named {globs.readable(glob)}"
            if what == "service account"
            else f"{what} {globs.readable(glob)}"
        )
    return f"every {what} named like {globs.readable(glob)}"


EVERYBODY = Subjects(globs.MANY, globs.MANY)


def subjects_of(glob: str) -> Iterator[Subjects]:
    """Return the service accounts whose subject matches *glob*."""
    for rest in globs.after(glob, SUBJECT_PREFIX):
        for namespace, name in globs.split(rest, ":"):
            if _may_be_label(namespace, _LETTERS) and _may_be_label(name, _NAME_LETTERS):
                yield Subjects(namespace, name)


def _may_be_label(glob: str, letters: re.Pattern[str]) -> bool:
    return (
        letters.fullmatch(glob) is not None and not glob.startswith("-") and not glob.endswith("-")
    )


def admitted(tests: Iterable[Test], *, at_worst: bool) -> list[Subjects]:
    """Return who passes all of *tests* with a token that has the claim; at least those.

    Args:
        tests: tests of `sub`.
        at_worst: whether what only the deploy decides is a wildcard.
    """
    found = [EVERYBODY]
    refused: list[str] = []
    for test in tests:
        if test.negated:
            refused += [glob for glob in test.globs if globs.may_be(glob) == glob]
            continue
        mine = _smallest(
            one for glob in test.globs for one in subjects_of(_worst(test, glob, at_worst=at_worst))
        )
        found = _smallest(
            both for one in found for other in mine if (both := _both(one, other)) is not None
        )
    return [one for one in found if not any(globs.covers(glob, one.text) for glob in refused)]


def _worst(test: Test, glob: str, *, at_worst: bool) -> str:
    """Return *glob* as it may turn out; under an exact operator a part brings no wildcards."""
    if not at_worst:
        return glob
    if glob == globs.UNKNOWN or test.takes_wildcards:
        return globs.at_worst(glob)
    return glob


def _both(one: Subjects, other: Subjects) -> Subjects | None:
    namespace = _meet(one.namespace, other.namespace)
    name = _meet(one.name, other.name)
    return None if namespace is None or name is None else Subjects(namespace, name)


def _meet(one: str, other: str) -> str | None:
    """Return a glob of what matches both, or of more; None if nothing does."""
    if globs.covers(one, other):
        return other
    if globs.covers(other, one):
        return one
    if globs.is_exact(one) or globs.is_exact(other):
        exact, wild = (one, other) if globs.is_exact(one) else (other, one)
        return exact if globs.overlap(globs.may_be(exact), globs.may_be(wild)) else None
    if not globs.overlap(globs.may_be(one), globs.may_be(other)):
        return None
    return max(one, other, key=lambda glob: len(glob.strip(_WILD)))


def _smallest(subjects: Iterable[Subjects]) -> list[Subjects]:
    """Return *subjects* without those that others cover."""
    kept: list[Subjects] = []
    for one in dict.fromkeys(subjects):
        if any(globs.covers(other.text, one.text) for other in kept):
            continue
        kept = [other for other in kept if not globs.covers(one.text, other.text)]
        kept.append(one)
    return kept


def _subject_findings(tests: Sequence[Test], issuer: str, *, dead: bool) -> Iterator[Finding]:
    key = f"{issuer}:sub"
    if not tests:
        yield finding(
            "IRSA101",
            f"Condition must test the subject, got no test of {key!r}, so that every service"
            f" account of every namespace gets in; add StringEquals {key!r} with"
            f" '{SUBJECT_PREFIX}NAMESPACE:NAME'",
        )
        return
    limiting = [test for test in tests if not test.negated and test.kind != "null"]
    if not limiting or all(test.absent for test in tests):
        yield _passes_without(
            limiting[0] if limiting else tests[0], f"{SUBJECT_PREFIX}NAMESPACE:NAME"
        )
    if limiting:
        found = admitted(tests, at_worst=False)
        yield from _wide_findings(found, limiting)
        if all(one.is_of_one_namespace for one in found) and not all(
            one.is_of_one_namespace for one in admitted(tests, at_worst=True)
        ):
            yield _untold(next(test for test in limiting if _has_unknown(test)))
    if dead:
        for test in limiting:
            yield from _impossible_findings(test)


def _has_unknown(test: Test) -> bool:
    return any(globs.UNKNOWN in glob for glob in test.globs)


def _untold(test: Test) -> Finding:
    got = next(
        (
            value
            for value, glob in zip(test.values, test.patterns, strict=True)
            if globs.UNKNOWN in glob
        ),
        test.values,
    )
    return finding(
        "IRSA901",
        f"{test.key!r} must be known before the deploy, got {got!r} under {test.operator}, so that"
        " whom it lets in cannot be told; write it out, give its parameter a Default or"
        " AllowedValues, or acknowledge this with a reason",
    )


def _wide_findings(found: Sequence[Subjects], tests: Sequence[Test]) -> Iterator[Finding]:
    for one in found:
        key = tests[0].key
        if one.is_everybody:
            rule = "IRSA103"
        elif not one.is_of_one_namespace:
            rule = "IRSA104"
        elif not globs.is_exact(one.name):
            rule = "IRSA105"
        elif one.name == "default":
            rule = "IRSA504"
        else:
            continue
        if rule == "IRSA504":
            yield finding(
                rule,
                f"{key!r} must not name the account 'default', got {globs.readable(one.text)!r},"
                " which pods have that name no other; make a service account of its own",
            )
            continue
        advice = (
            "list the names under StringEquals, unless the pattern is meant"
            if rule == "IRSA105"
            else f"write '{SUBJECT_PREFIX}NAMESPACE:NAME' under StringEquals, one for each account"
        )
        yield finding(
            rule,
            f"{key!r} must name exact service accounts, got {globs.readable(one.text)!r}, which"
            f" lets in {one}; {advice}",
        )


def _passes_without(test: Test, example: str) -> Finding:
    return finding(
        "IRSA108",
        f"operator of {test.key!r} must be StringEquals or StringLike, got {test.operator!r}, which"
        f" lets in tokens that lack the claim or have another value; write StringEquals with"
        f" {example!r}",
    )


def _impossible_findings(test: Test) -> Iterator[Finding]:
    """Say which values let in nobody."""
    if not test.values:
        yield finding(
            "IRSA125",
            f"{test.key!r} must list a value, got none; name a subject, or remove the statement",
        )
    if not test.globs and test.values:
        yield finding(
            "IRSA107",
            f"operator of {test.key!r} must be one for text, got {test.operator!r}; write"
            f" StringEquals with '{SUBJECT_PREFIX}NAMESPACE:NAME', because no subject is of that"
            " type",
        )
        return
    for value, glob in zip(test.values, test.globs, strict=True):
        text = str(value)
        wild = ("*" in text or "?" in text) and not test.takes_wildcards
        if wild and not set(glob) & set(_WILD):
            yield finding(
                "IRSA106",
                f"{test.key!r} must be one exact subject under {test.operator}, got {value!r};"
                " list the accounts, or use StringLike, because a wildcard matches nobody there",
            )
        elif not any(_is_possible(one) for one in subjects_of(globs.may_be(glob))):
            yield finding(
                "IRSA107",
                f"{test.key!r} must be a service account's subject, got {value!r}"
                f"{_reason(text)}; {_correction(text)}, because no token of a cluster carries it",
            )


def _is_possible(one: Subjects) -> bool:
    """Whether Kubernetes gives out such a namespace and name."""
    return not (
        (globs.is_exact(one.namespace) and any(namespace_faults(one.namespace)))
        or (globs.is_exact(one.name) and any(name_faults(one.name)))
    )


def _reason(text: str) -> str:
    namespace, _, name = text.removeprefix(SUBJECT_PREFIX).partition(":")
    if not text.startswith(SUBJECT_PREFIX) or not name:
        return ""
    faults = [*namespace_faults(namespace), *name_faults(name)]
    return f" ({faults[0].partition(', got')[0]})" if faults else ""


def _correction(text: str) -> str:
    rest = text.removeprefix(SUBJECT_PREFIX)
    namespace, slash, name = rest.partition("/")
    if slash and not any(namespace_faults(namespace)) and not any(name_faults(name)):
        return f"write '{SUBJECT_PREFIX}{namespace}:{name}'"
    return f"write '{SUBJECT_PREFIX}NAMESPACE:NAME'"


def _audience_findings(
    tests: Sequence[Test], issuer: str, client_ids: Sequence[str] | None, *, dead: bool
) -> Iterator[Finding]:
    key = f"{issuer}:aud"
    if not tests:
        yield finding(
            "IRSA102",
            f"Condition must test the audience, got no test of {key!r}, so that tokens made for"
            f" any other service get in; add StringEquals {key!r} with {STS_AUDIENCE!r}",
        )
        return
    limiting = [test for test in tests if not test.negated and test.kind != "null"]
    if not limiting or all(test.absent for test in tests):
        yield _passes_without(limiting[0] if limiting else tests[0], STS_AUDIENCE)
    if limiting and not any(all(map(globs.is_exact, test.globs)) for test in limiting):
        test = limiting[0]
        yield finding(
            "IRSA114",
            f"{test.key!r} must be one exact audience, got {_values(test)}, which lets in tokens"
            f" made for other services; write StringEquals with {STS_AUDIENCE!r}",
        )
    elif limiting and all(
        any(
            glob == globs.UNKNOWN or (test.takes_wildcards and globs.UNKNOWN in glob)
            for glob in test.globs
        )
        for test in limiting
    ):
        yield _untold(limiting[0])
    if dead:
        for test in limiting:
            yield from _unlisted_findings(test, issuer, client_ids)


def _unlisted_findings(
    test: Test, issuer: str, client_ids: Sequence[str] | None
) -> Iterator[Finding]:
    """Say which audiences let in nobody: no token that the provider takes carries them."""
    if client_ids is None and not _lists_usual(issuer):
        return  # a cluster of one's own, whose provider may list any
    usual = client_ids or (STS_AUDIENCE,)
    possible = [
        any(globs.overlap(globs.may_be(glob), _cased(test, audience)) for audience in usual)
        for glob in test.globs
    ]
    if client_ids is None and any(possible):
        return  # one is usual, and others may be listed elsewhere
    for value, is_possible in zip(test.values, possible, strict=len(possible) == len(test.values)):
        if not is_possible:
            yield finding(
                "IRSA114",
                f"{test.key!r} must be an audience that the provider lists, got {value!r}; write"
                f" {usual[0]!r}, because IAM refuses tokens for others",
                severity=MEDIUM,
            )
    if not test.globs:
        yield finding(
            "IRSA114",
            f"{test.key!r} must be an audience under StringEquals, got {_values(test)} under"
            f" {test.operator}; write StringEquals with {usual[0]!r}",
            severity=MEDIUM,
        )


def _lists_usual(issuer: str) -> bool:
    """Whether providers of *issuer* list the usual audience: EKS, or known only at deploy."""
    return is_deploy_time(issuer) or KUBERNETES.issuers.match(issuer.lower()) is not None


def _cased(test: Test, text: str) -> str:
    return text.lower() if test.ignores_case else text


def _values(test: Test) -> str:
    return ", ".join(repr(value) for value in test.values) or "none"


# Other issuers


def _other_findings(
    tests: Mapping[str, Sequence[Test]], issuer: str, kind: IssuerKind, *, dead: bool
) -> Iterator[Finding]:
    naming = {
        claim: of_claim
        for claim, of_claim in tests.items()
        if claim not in _NAME_NOBODY
        and (claim not in _AUDIENCE_CLAIMS or _audience_names(of_claim, kind))
        and any(not test.negated and test.kind != "null" for test in of_claim)
    }
    key = f"{issuer}:{'aud' if kind.audience_names else 'sub'}"
    if not naming:
        yield from _unnamed_findings(tests, key, kind)
        return
    closing = {
        claim: of_claim
        for claim, of_claim in naming.items()
        if not all(test.absent for test in of_claim)
    }
    if not closing:
        yield _passes_without(next(iter(naming.values()))[0], kind.example)
        return
    wide = [_wide(claim, of_claim, kind) for claim, of_claim in closing.items()]
    if wide[0] is not None and None not in wide:
        test, got = wide[0]
        if got == globs.UNKNOWN:
            yield _untold(test)
        else:
            everybody = globs.is_everything(got) or kind.owner == "workload"
            who = (
                f"every workload of {kind.name}" if everybody else f"other {kind.owner}s' workloads"
            )
            yield finding(
                "IRSA103" if everybody else "IRSA104",
                f"{test.key!r} must name the {kind.owner} exactly, got {globs.readable(got)!r},"
                f" which lets in {who}; write StringEquals with {kind.example!r}",
            )
    if dead:
        for test in tests.get("sub", ()):
            yield from _dead_elsewhere(test)


def _audience_names(tests: Sequence[Test], kind: IssuerKind) -> bool:
    """Whether the audience is an application's own, so that it names who may."""
    if kind.audience_names:
        return True
    return not kind.subjects and not any(
        globs.overlap(glob, STS_AUDIENCE) for test in tests for glob in test.globs
    )


def _unnamed_findings(
    tests: Mapping[str, Sequence[Test]], key: str, kind: IssuerKind
) -> Iterator[Finding]:
    for claim in ("sub", *tests):
        if claim in tests and claim not in (*_AUDIENCE_CLAIMS, *_NAME_NOBODY):
            yield _passes_without(tests[claim][0], kind.example)
            return
    yield finding(
        "IRSA101",
        f"Condition must test the claim that names the workload, got no test of {key!r}, so that"
        f" every workload of {kind.name} gets in; add StringEquals {key!r} with {kind.example!r}",
    )


def _wide(claim: str, tests: Sequence[Test], kind: IssuerKind) -> tuple[Test, str] | None:
    """Return the test and glob that let in workloads of others, if one does and none closes it."""
    found: tuple[Test, str] | None = None
    for test in tests:
        if test.negated or test.kind == "null":
            continue
        wide = next((glob for glob in test.globs if _is_wide(claim, glob, kind)), None)
        if wide is None and any(
            _is_wide(claim, _worst(test, glob, at_worst=True), kind) for glob in test.globs
        ):
            wide = globs.UNKNOWN
        if wide is None:
            return None
        found = found or (test, wide)
    return found


def _is_wide(claim: str, worst: str, kind: IssuerKind) -> bool:
    if globs.is_exact(worst):
        return False
    if claim == "sub" and kind.subjects:
        owners = [
            owner
            for rest in globs.after(worst, kind.subjects)
            for owner, _ in (globs.split(rest, kind.ends) if kind.ends else [(rest, "")])
        ]
        if owners:
            return not all(globs.is_exact(owner) for owner in owners)
    # A form that we do not know: it names somebody if it starts with literal text.
    return not re.split(f"[{_WILD}]", worst)[0]


def _dead_elsewhere(test: Test) -> Iterator[Finding]:
    if test.negated or test.kind == "null" or test.takes_wildcards:
        return
    for value, glob in zip(test.values, test.globs, strict=len(test.values) == len(test.globs)):
        if "*" in str(value) and globs.is_exact(glob) and len(test.values) == 1:
            yield finding(
                "IRSA106",
                f"{test.key!r} must be one exact subject under {test.operator}, got {value!r};"
                " write StringLike, because a wildcard matches nobody there",
            )
