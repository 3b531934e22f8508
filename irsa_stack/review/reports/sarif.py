"""Findings as SARIF 2.1.0, in the part of it that GitHub reads.

See: https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

import hashlib
from importlib import metadata
from pathlib import PurePath
from typing import Any

from irsa_stack.review.findings import Finding
from irsa_stack.review.judgement import Judgement, fingerprint
from irsa_stack.review.rules import RULES, Rule

_LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
_SEVERITIES = {"critical": "9.5", "high": "8.0", "medium": "5.0", "low": "2.0", "info": "0.0"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_SITE = "https://github.com/irsa-stack/irsa-stack"


def sarif(judgement: Judgement) -> dict[str, Any]:
    """Return the findings as one run; those that somebody means are suppressed."""
    ids = list(RULES)
    results = [_result(one, ids) for one in judgement.findings]
    for one, reason in judgement.ignored:
        result = _result(one, ids)
        result["suppressions"] = [{"kind": "external", "justification": reason}]
        results.append(result)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "irsa",
                        "version": _version(),
                        "informationUri": _SITE,
                        "rules": [_rule(name, rule) for name, rule in RULES.items()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }


def _version() -> str:
    try:
        return metadata.version("irsa-stack")
    except metadata.PackageNotFoundError:  # run from the repository
        return "0.0.0"


def _rule(id: str, rule: Rule) -> dict[str, Any]:
    return {
        "id": id,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.sentence},
        "fullDescription": {"text": rule.sentence},
        "help": {
            "text": f"{rule.fix}. See {rule.source}",
            "markdown": f"{rule.fix}. See <{rule.source}>.",
        },
        "helpUri": rule.source,
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {
            "tags": ["security", "irsa"],
            "precision": "high",
            "security-severity": _SEVERITIES[rule.severity],
        },
    }


def _result(one: Finding, ids: list[str]) -> dict[str, Any]:
    key = hashlib.sha256(fingerprint(one).encode()).hexdigest()
    return {
        "ruleId": one.id,
        "ruleIndex": ids.index(one.id),
        "level": _LEVELS[one.severity],
        "message": {"text": f"{one.message}; {one.fix}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(one.path), "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": one.line or 1},
                },
                "logicalLocations": [{"name": one.resource or one.id}],
            }
        ],
        "partialFingerprints": {"irsaFinding/v1": key},
    }


def _uri(path: str) -> str:
    return PurePath(path).as_posix().removeprefix("/")
