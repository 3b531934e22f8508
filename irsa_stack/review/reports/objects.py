"""The JSON of each report: one object with its schema's version first."""

from collections import Counter
from collections.abc import Sequence
from importlib import resources
from typing import Any

from irsa_stack.review.access import Grant
from irsa_stack.review.difference import Difference
from irsa_stack.review.explanation import BROKEN, Link, first_broken
from irsa_stack.review.findings import Finding
from irsa_stack.review.judgement import Judgement
from irsa_stack.review.managed_policies import SNAPSHOT
from irsa_stack.review.rules import SEVERITIES

SCHEMA = "irsa-stack/1"
SCHEMA_FILE = resources.files("irsa_stack.review.reports") / "schema.json"
"""What the reports keep to, as JSON Schema."""


def review_object(judgement: Judgement, faults: Sequence[str], read: int) -> dict[str, Any]:
    """Return the findings.

    Args:
        judgement: the findings.
        faults: what could not be read.
        read: how many documents were read.
    """
    counts = Counter(one.severity for one in judgement.findings)
    return {
        "schema": SCHEMA,
        "summary": {
            "sentence": review_sentence(judgement, read),
            "documents": read,
            "findings": len(judgement.findings),
            **{severity: counts.get(severity, 0) for severity in SEVERITIES},
            "ignored": len(judgement.ignored),
            "known": judgement.known,
        },
        "findings": [finding_object(one) for one in judgement.findings],
        "ignored": [{**finding_object(one), "reason": reason} for one, reason in judgement.ignored],
        "unread": list(faults),
    }


def finding_object(one: Finding) -> dict[str, Any]:
    """Return one finding."""
    return {
        "id": one.id,
        "severity": one.severity,
        "resource": one.resource,
        "where": one.where,
        "path": one.path,
        "line": one.line,
        "message": one.message,
        "fix": one.fix,
    }


def review_sentence(judgement: Judgement, read: int) -> str:
    """Return the findings in one sentence."""
    counts = Counter(one.severity for one in judgement.findings)
    listed = ", ".join(f"{counts[one]} {one}" for one in SEVERITIES if counts[one])
    beside = f"; {len(judgement.ignored)} ignored" if judgement.ignored else ""
    beside += f"; {judgement.known} known" if judgement.known else ""
    many = _many(len(judgement.findings), "finding")
    return f"{many}{f' ({listed})' if listed else ''} in {_many(read, 'document')}{beside}."


def access_object(grants: Sequence[Grant], faults: Sequence[str], read: int) -> dict[str, Any]:
    """Return the map of access."""
    counts = Counter(one.certainty for one in grants)
    return {
        "schema": SCHEMA,
        "summary": {
            "sentence": access_sentence(grants),
            "documents": read,
            "grants": len(grants),
            "service_accounts": len({(one.cluster, one.account) for one in grants}),
            "roles": len({one.role for one in grants}),
            "certainty": dict(sorted(counts.items())),
            "managed_policies_of": SNAPSHOT,
            "evaluated": "trust policies, identity policies and boundaries;"
            " no resource policies, no service control policies",
        },
        "grants": [grant_object(one) for one in grants],
        "unread": list(faults),
    }


def grant_object(one: Grant) -> dict[str, Any]:
    """Return one grant."""
    return {
        "cluster": one.cluster,
        "namespace": one.namespace,
        "service_account": one.name,
        "subject": one.account,
        "bound": list(one.bound),
        "role": one.role,
        "certainty": one.certainty,
        "why": one.why,
        "conditions": list(one.conditions),
        "boundary": one.boundary,
        "managed_policies": [
            {"name": name, "access": access} for name, access in one.managed_policies
        ],
        "permissions": [dict(each) for each in one.permissions],
        "path": one.path,
        "line": one.line,
    }


def access_sentence(grants: Sequence[Grant]) -> str:
    """Return the map in one sentence."""
    accounts = _many(len({(one.cluster, one.account) for one in grants}), "service account")
    roles = _many(len({one.role for one in grants}), "role")
    counts = Counter(one.certainty for one in grants)
    listed = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    return f"{accounts} with {roles}{f' ({listed})' if listed else ''}."


def diff_object(found: Difference, faults: Sequence[str]) -> dict[str, Any]:
    """Return what changes."""
    counts = Counter(one.kind for one in found.changes)
    return {
        "schema": SCHEMA,
        "summary": {
            "sentence": diff_sentence(found),
            "changes": len(found.changes),
            **{
                kind: counts.get(kind, 0)
                for kind in ("gained", "lost", "widened", "narrowed", "incomparable")
            },
        },
        "verdict": found.verdict,
        "changes": [
            {
                "kind": one.kind,
                "subject": one.subject,
                "role": one.role,
                "what": one.what,
                "path": one.path,
                "line": one.line or None,
            }
            for one in found.changes
        ],
        "unread": list(faults),
    }


def diff_sentence(found: Difference) -> str:
    """Return the difference in one sentence."""
    if not found.changes:
        return "Access is the same."
    counts = Counter(one.kind for one in found.changes)
    listed = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    words = {
        "narrowed": "Access is narrower",
        "widened": "Access is wider",
        "incomparable": "Access is wider in part, because some is new and some is gone",
    }
    if found.verdict == "incomparable" and "incomparable" in counts:
        words["incomparable"] = "Access is another, and may be wider"
    return f"{words[found.verdict]}: {listed}."


def explain_object(account: str, links: list[Link], faults: Sequence[str]) -> dict[str, Any]:
    """Return the chain of one service account."""
    return {
        "schema": SCHEMA,
        "summary": {"sentence": explain_sentence(account, links)},
        "subject": account,
        "links": [
            {
                "name": one.name,
                "state": one.state,
                "presented": one.presented,
                "configured": one.configured,
                "fix": one.fix,
                "path": one.path,
                "line": one.line,
            }
            for one in links
        ],
        "unread": list(faults),
    }


def explain_sentence(account: str, links: list[Link]) -> str:
    """Return the first link that does not hold, in one sentence."""
    link = first_broken(links)
    if link is None:
        return f"{account} may assume its role: every link holds."
    state = "broken" if link.state == BROKEN else "not known"
    cure = f"; {link.fix}" if link.fix else ""
    met = f"{link.presented} meets {link.configured}"
    return f"{account}: {link.name} is {state}, because {met}{cure}."


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
