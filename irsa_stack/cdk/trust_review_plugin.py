"""Review of every trust policy of an app at synth, those written by hand too."""

import json
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyValidationStack,
    PolicyViolatingResource,
    PolicyViolation,
)

from irsa_stack.review.rules import RULES
from irsa_stack.review.template import template_findings

_BROKEN = "IRSA000"


@jsii.implements(IPolicyValidationPlugin)
class TrustReview:
    """Refuse trust policies that deploy well and then fail, or let in too many.

    Reads the templates of all stacks at synth, nested ones too: roles of this library, of the CDK,
    and by hand.
    A violation that is meant is acknowledged with `irsa-stack::RULE` and a reason; the rules are
    `irsa_stack.review.RULES`.

    Examples:
        >>> import aws_cdk as cdk
        >>> from irsa_stack import TrustReview
        >>> app = cdk.App()
        >>> cdk.Validations.of(app).add_plugins(TrustReview())

    See:
        https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html
    """

    @property
    def name(self) -> str:
        """Name in reports and acknowledgements."""
        return "irsa-stack"

    @property
    def version(self) -> str:
        """Version of the library."""
        try:
            return metadata.version("irsa-stack")
        except metadata.PackageNotFoundError:  # run from the repository
            return "0.0.0"

    @property
    def rule_ids(self) -> list[str]:
        """Ids of the rules."""
        return [_BROKEN, *RULES]

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:
        """Review the templates, for the CDK."""
        violations: list[PolicyViolation] = []
        place = "App"
        # The CDK takes a plugin that raises for one without violations, and the synth passes.
        try:
            for stack in context.stack_templates:
                place = stack.stack_construct_path
                for path in _templates(Path(stack.template_path)):
                    violations.extend(_violations(stack, path))
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not pass)
            violations.append(_failure(place, error))
        return PolicyValidationPluginReport(success=not violations, violations=violations)


def _templates(path: Path) -> Iterator[Path]:
    """Return the template at *path*, and those of its nested stacks, however deep: its assets."""
    yield path
    manifest = path.with_name(path.name.removesuffix(".template.json") + ".assets.json")
    if manifest.exists():
        for asset in json.loads(manifest.read_text(encoding="utf-8"))["files"].values():
            name = asset["source"].get("path", "")
            if name.endswith(".nested.template.json"):
                yield path.with_name(name)


def _violations(stack: PolicyValidationStack, path: Path) -> Iterator[PolicyViolation]:
    template = json.loads(path.read_text(encoding="utf-8"))
    found = template_findings(
        template, region=_literal(stack.region), account=_literal(stack.account_id)
    )
    for finding in found:
        if finding.is_remark:
            continue  # said by the command; somebody may mean it
        yield PolicyViolation(
            rule_name=finding.id,
            description=finding.message,
            fix=finding.fix,
            severity="error",
            rule_metadata={"severity": finding.severity, "source": RULES[finding.id].source},
            violating_resources=[
                PolicyViolatingResource(
                    resource_logical_id=finding.resource,
                    template_path=str(path),
                    locations=[_location(finding.where)],
                )
            ],
        )


def _location(where: str) -> str:
    """Return the property, without the part of it that is meant."""
    return "/".join(filter(None, ["Properties", where.partition("/Statement")[0]]))


def _literal(value: str | None) -> str | None:
    """Return where a stack goes, if it says so; the CDK writes `unknown-region` if it does not."""
    return None if value is None or value.startswith("unknown-") else value


def _failure(place: str, error: Exception) -> PolicyViolation:
    return PolicyViolation(
        rule_name=_BROKEN,
        description=f"trust review must read the template of {place}, got {error!r}",
        fix="report it to irsa-stack",
        severity="error",
        # Without a resource the CLI prints nothing.
        violating_resources=[PolicyViolatingResource(construct_path=place, locations=[])],
    )
