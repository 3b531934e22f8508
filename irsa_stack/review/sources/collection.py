"""Facts of everything that was read."""

from collections.abc import Mapping

from irsa_stack.review.facts import At, Document, Facts, Role
from irsa_stack.review.sources import kubernetes
from irsa_stack.review.sources.cloudformation import TemplateFacts, with_values
from irsa_stack.review.sources.reading import CLOUDFORMATION, KUBERNETES, POLICY, TERRAFORM, Reading
from irsa_stack.review.sources.terraform import PlanFacts


def facts_of(reading: Reading, parameters: Mapping[str, str] | None = None) -> Facts:
    """Return what the sources say, together.

    Args:
        reading: what was read.
        parameters: values of CloudFormation parameters by name. Default: none.
    """
    facts = Facts()
    templates = [one for one in reading.sources if one.kind == CLOUDFORMATION]
    with_values(templates, parameters or {})
    each = [TemplateFacts(one, facts, one.name) for source in templates for one in source.all()]
    for one in each:
        one.add_clusters()
    for one in each:
        one.add_roles()
    for source in reading.sources:
        if source.kind == KUBERNETES:
            kubernetes.add_roles(source, facts)
        elif source.kind == TERRAFORM:
            PlanFacts(source, facts).add()
        elif source.kind == POLICY:
            _add_policy(facts, source.path, source.content)
    for one in each:
        one.add_rest()
    for source in reading.sources:
        if source.kind == KUBERNETES:
            kubernetes.add_manifest(source, facts)
    return facts


def _add_policy(facts: Facts, path: str, document: object) -> None:
    number = 1 + sum(role.at.path == path for role in facts.roles.values())
    name = "trust policy" if number == 1 else f"trust policy {number}"
    facts.roles[f"{path}:{name}"] = Role(
        id=f"{path}:{name}",
        name=name,
        has_name=False,
        at=At(path=path, resource=name, line=1),
        trust=Document(name=name, outcomes=(document,)),
    )
