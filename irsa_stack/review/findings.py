"""What the review found: which rule, where, and what to do."""

import re
from dataclasses import dataclass, replace

from irsa_stack.review.rules import INFO, RULES

_TOKEN = re.compile(r"\$\{Token\[(?:plain\.)?(?:Ref\.|Fn\.GetAtt\.)?([^\]]*)\]\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Something that breaks a rule.

    Args:
        id: a key of `RULES`.
        severity: critical, high, medium, low or info.
        message: `<property> must <rule>, got <value>`.
        fix: what to do.
        resource: the logical id, or whatever names it in its file. Default: none.
        where: the property, or the part of it. Default: none.
        path: its file. Default: none.
        line: its line there, from 1. Default: unknown.
    """

    id: str
    severity: str
    message: str
    fix: str
    resource: str = ""
    where: str = ""
    path: str = ""
    line: int | None = None

    @property
    def rule(self) -> str:
        """The id."""
        return self.id

    @property
    def fault(self) -> str:
        """Message and fix, as one sentence."""
        return f"{self.message}; {self.fix}"

    @property
    def is_remark(self) -> bool:
        """Whether it is only said, because somebody may mean it."""
        return self.severity == INFO

    def within(self, where: str, *, resource: str = "") -> "Finding":
        """Return the finding with the place that its own is in."""
        return replace(
            self,
            where="/".join(filter(None, [where, self.where])),
            resource=resource or self.resource,
        )


def finding(rule: str, fault: str, *, severity: str | None = None) -> Finding:
    """Return the finding that *fault* is.

    Args:
        rule: a key of `RULES`.
        fault: `<property> must <rule>, got <value>; <fix>`.
        severity: Default: the rule's.
    """
    message, _, fix = _readable(fault).rpartition("; ")
    return Finding(
        id=rule,
        severity=severity or RULES[rule].severity,
        message=message or fault,
        fix=fix if message else RULES[rule].fix,
    )


def _readable(text: str) -> str:
    """Return *text* with its deploy-time values as `Fn::Sub` would name them."""
    return _TOKEN.sub(lambda token: f"${{{token[1].replace('AWS.', 'AWS::')}}}", text)
