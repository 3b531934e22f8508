"""Templates of constructs and of the fixtures of environments, synthesised once a session."""

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import App, Stack

from irsa_stack.environment.environment import Environment
from irsa_stack.environment.environment_file import load_environment

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = REPOSITORY / "tests" / "fixtures" / "environments"
NAMES = sorted(path.stem for path in ENVIRONMENTS.glob("*.yaml"))
Template = dict[str, Any]


def context() -> dict[str, Any]:
    """The feature flags that the app runs with."""
    flags: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]
    return flags


def app_with_flags(**kwargs: Any) -> App:
    """An app as the CLI would start it."""
    return App(context=context(), analytics_reporting=False, **kwargs)


def synthesise(define: Callable[[Stack], object], **stack_arguments: Any) -> Template:
    """The template of one stack that *define* puts constructs into."""
    app = app_with_flags()
    stack = Stack(app, "Stack", **stack_arguments)
    define(stack)
    return template_of(stack)


def template_of(stack: Stack) -> Template:
    """The template of *stack*, once its whole app is synthesised."""
    app = stack.node.root
    assert isinstance(app, App)
    return templates_of(app)[stack.stack_name]


def templates_of(app: App) -> dict[str, Template]:
    """Every stack's template, by the stack's name, in the order of deployment."""
    assembly = app.synth()
    return {
        artifact.stack_name: json.loads(Path(artifact.template_full_path).read_text())
        for artifact in assembly.stacks
    }


def types_of(stack: Stack) -> list[str]:
    """The type of each resource of *stack*, in alphabetical order."""
    return sorted(body["Type"] for body in template_of(stack)["Resources"].values())


def properties_of(stack: Stack, resource_type: str) -> dict[str, Any]:
    """The properties of the one resource of that type in *stack*."""
    found: list[dict[str, Any]] = [
        body["Properties"]
        for body in template_of(stack)["Resources"].values()
        if body["Type"] == resource_type
    ]
    assert len(found) == 1, f"{len(found)} of {resource_type}"
    return found[0]


@dataclass(frozen=True)
class SynthesisedEnvironment:
    """A fixture as `cdk synth` leaves it."""

    settings: Environment
    templates: dict[str, Template]
    folder: Path


@functools.cache
def environment(name: str) -> SynthesisedEnvironment:
    """The environment `tests/fixtures/environments/<name>.yaml`, synthesised at the first call."""
    return synthesise_environment(name)


def synthesise_environment(name: str) -> SynthesisedEnvironment:
    """The environment `tests/fixtures/environments/<name>.yaml`, synthesised anew."""
    from irsa_stack.stacks import define_stacks  # (imports the CDK's EKS modules: slow)

    settings = load_environment(ENVIRONMENTS / f"{name}.yaml")
    folder = Path(tempfile.mkdtemp(prefix="irsa-stack-"))
    app = app_with_flags(outdir=str(folder))
    define_stacks(app, settings, files=ENVIRONMENTS)
    return SynthesisedEnvironment(settings, templates_of(app), folder)
