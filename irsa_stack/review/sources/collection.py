"""Facts of everything that was read."""

from collections.abc import Iterator, Mapping

from irsa_stack.review.facts import At, Document, Facts, Role
from irsa_stack.review.sources import kubernetes
from irsa_stack.review.sources.cloudformation import TemplateFacts, with_values
from irsa_stack.review.sources.documents import object_of
from irsa_stack.review.sources.reading import (
    CLOUDFORMATION,
    KUBERNETES,
    POLICY,
    TERRAFORM,
    Reading,
    Source,
)
from irsa_stack.review.sources.terraform import PlanFacts


def facts_of(reading: Reading, parameters: Mapping[str, str] | None = None) -> Facts:
    """Return what the sources say, together.

    Args:
        reading: what was read.
        parameters: values of CloudFormation parameters by name. Default: none.
    """
    facts = Facts()
    templates = [one for one in reading.sources if one.kind == CLOUDFORMATION]
    for template in templates:
        for stack in template.all():
            reading.faults += _without_malformed(stack)
    with_values(templates, parameters or {})
    stacks = [TemplateFacts(one, facts, one.name) for each in templates for one in each.all()]
    for one in stacks:
        one.add_clusters()
    # Roles first, wherever they are written: all else refers to them.
    for one in stacks:
        one.add_roles()
    for source in reading.sources:
        _add_roles(source, facts)
    for one in stacks:
        one.add_rest()
    for source in reading.sources:
        if source.kind == KUBERNETES:
            kubernetes.add_manifest(source, facts)
    return facts


def _add_roles(source: Source, facts: Facts) -> None:
    if source.kind == KUBERNETES:
        kubernetes.add_roles(source, facts)
    elif source.kind == TERRAFORM:
        PlanFacts(source, facts).add()
    elif source.kind == POLICY:
        _add_policy(facts, source.path, source.content)


def _without_malformed(source: Source) -> Iterator[str]:
    """Take out the resources that are none, and say so."""
    resources = object_of(object_of(source.content).get("Resources"))
    kept = {}
    for name, resource in resources.items():
        is_one = isinstance(resource, Mapping) and isinstance(resource.get("Type"), str)
        if is_one or str(name).startswith("Fn::"):
            kept[name] = resource
        else:
            yield (
                f"resource {name!r} of {source.path!r} must be an object with a Type, got"
                f" {str(resource)[:60]!r}; correct it"
            )
    source.content = {**object_of(source.content), "Resources": kept}


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
