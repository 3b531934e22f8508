"""Findings of everything that was read, with file and line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from irsa_stack.review.annotations import role_annotation_findings
from irsa_stack.review.facts import Facts, Role
from irsa_stack.review.findings import Finding
from irsa_stack.review.rules import SEVERITIES
from irsa_stack.review.sources.documents import line_of
from irsa_stack.review.sources.kubernetes import at_manifest
from irsa_stack.review.sources.reading import CLOUDFORMATION, KUBERNETES, Reading, Source
from irsa_stack.review.template import template_findings
from irsa_stack.review.trust_policy import trust_policy_findings

NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Ignored:
    """A finding that somebody means.

    Args:
        id: of the rule, or `*`.
        resource: the resource; may hold `*`.
        reason: why.
    """

    id: str
    resource: str
    reason: str

    def covers(self, one: Finding) -> bool:
        """Whether *one* is meant."""
        return all(
            re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), text)
            for pattern, text in ((self.id, one.id), (self.resource, one.resource))
        )


@dataclass(kw_only=True)
class Judgement:
    """What the review says.

    Args:
        findings: the open ones, worst first.
        ignored: those that somebody means, with the reason.
        known: how many the baseline has.
    """

    findings: list[Finding] = field(default_factory=list)
    ignored: list[tuple[Finding, str]] = field(default_factory=list)
    known: int = 0

    def reaches(self, threshold: str) -> bool:
        """Whether a finding is at least as severe as *threshold*; never for `none`."""
        if threshold == NONE:
            return False
        worst = SEVERITIES.index(threshold)
        return any(SEVERITIES.index(one.severity) <= worst for one in self.findings)


def judged(
    reading: Reading,
    facts: Facts,
    *,
    ignored: Sequence[Ignored] = (),
    baseline: Sequence[Mapping[str, Any]] = (),
) -> Judgement:
    """Return the findings of what was read.

    Args:
        reading: what was read.
        facts: what it says.
        ignored: findings that somebody means. Default: none.
        baseline: findings of an earlier report, which are known. Default: none.
    """
    known = {_fingerprint(one) for one in baseline}
    result = Judgement()
    found = dict.fromkeys(_findings(reading, facts))
    for one in sorted(found, key=_order):
        entry = next((each for each in ignored if each.covers(one)), None)
        if entry is not None:
            result.ignored.append((one, entry.reason))
        elif fingerprint(one) in known:
            result.known += 1
        else:
            result.findings.append(one)
    return result


def _order(one: Finding) -> tuple[int, str, int, str, str]:
    return SEVERITIES.index(one.severity), one.path, one.line or 0, one.resource, one.id


def fingerprint(one: Finding) -> str:
    """Return what stays when lines move: rule, resource, place and message."""
    return _fingerprint({"id": one.id, "resource": one.resource, "message": one.message})


def _fingerprint(one: Mapping[str, Any]) -> str:
    return "|".join(str(one.get(key, "")) for key in ("id", "resource", "message"))


def _findings(reading: Reading, facts: Facts) -> Iterator[Finding]:
    in_templates: set[str] = set()
    for source in reading.sources:
        if source.kind == CLOUDFORMATION:
            for one in source.all():
                in_templates.add(one.path)
                yield from _template_findings(one)
        elif source.kind == KUBERNETES and source.content.get("kind") == "ServiceAccount":
            at = at_manifest(source)
            for found in role_annotation_findings(source.content):
                yield replace(found, resource=at.resource, path=at.path, line=at.line)
    for role in facts.roles.values():
        if role.at.path not in in_templates:
            yield from _role_findings(role)


def _template_findings(source: Source) -> Iterator[Finding]:
    for one in template_findings(source.content, region=source.region, account=source.account):
        line = line_of(source.text, "Resources", one.resource) or line_of(source.text, one.resource)
        yield replace(one, path=source.path, line=line)


def _role_findings(role: Role) -> Iterator[Finding]:
    for document in role.trust.outcomes:
        for one in trust_policy_findings(document):
            yield replace(one, resource=role.at.resource, path=role.at.path, line=role.at.line)
