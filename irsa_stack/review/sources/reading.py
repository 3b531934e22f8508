"""Find and recognise what can be read, by content and not by name."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from irsa_stack.kubernetes.service_account_manifest import ROLE_ARN_ANNOTATION
from irsa_stack.review.sources.documents import documents_of

CLOUDFORMATION, TERRAFORM, KUBERNETES, POLICY = (
    "CloudFormation template",
    "Terraform plan",
    "Kubernetes manifest",
    "trust policy",
)
STDIN = "-"

_SUFFIXES = (".json", ".yaml", ".yml", ".template")
_SKIPPED = ("node_modules", "site-packages", "__pycache__")
_ABOUT_ACCESS = (
    "AWS::IAM::",
    "AssumeRolePolicyDocument",
    "AssumeRoleWithWebIdentity",
    ROLE_ARN_ANNOTATION,
)


@dataclass(kw_only=True)
class Source:
    """One document that was read.

    Args:
        path: its file, as people name it.
        kind: one of the kinds above.
        content: its content.
        text: its file's text.
        name: the stack's name. Default: the file's.
        region: region of a stack. Default: not known.
        account: AWS account of a stack. Default: not known.
        children: nested stacks, by the logical id of their resource.
    """

    path: str
    kind: str
    content: Any
    text: str
    name: str = ""
    region: str | None = None
    account: str | None = None
    children: dict[str, "Source"] = field(default_factory=dict)

    def all(self) -> Iterator["Source"]:
        """Return it and its nested stacks, however deep."""
        yield self
        for child in self.children.values():
            yield from child.all()


@dataclass(kw_only=True)
class Reading:
    """What was read and what could not be.

    Args:
        sources: one for each document.
        faults: one sentence for each thing that could not be read.
    """

    sources: list[Source] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read(paths: Sequence[str]) -> Reading:
    """Read files and folders; what cannot be read is a fault, and stops nothing else."""
    reading = Reading()
    for path in paths:
        before = len(reading.sources), len(reading.faults)
        if path == STDIN:
            _add(reading, STDIN, sys.stdin.read(), is_asked=True)
        elif Path(path).is_dir():
            _add_folder(reading, Path(path))
        else:
            _add_file(reading, Path(path), is_asked=True)
        if before == (len(reading.sources), len(reading.faults)):
            reading.faults.append(
                f"path must hold a cdk.out, a template, a plan, a manifest or a trust policy, got"
                f" {path!r}; name one that does"
            )
    return reading


def _add_folder(reading: Reading, folder: Path) -> None:
    if _is_assembly(folder):
        _add_assembly(reading, folder)
        return
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in _SKIPPED or entry.is_symlink():
            continue
        if entry.is_dir():
            _add_folder(reading, entry)
        elif entry.name.endswith(_SUFFIXES):
            _add_file(reading, entry, is_asked=False)


def _is_assembly(folder: Path) -> bool:
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return False
    found = _parsed_manifest(manifest)
    return isinstance(found, Mapping) and "artifacts" in found


def _parsed_manifest(path: Path) -> object:
    try:
        found: object = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def _add_assembly(reading: Reading, folder: Path) -> None:
    manifest = _parsed_manifest(folder / "manifest.json")
    artifacts = manifest.get("artifacts") if isinstance(manifest, Mapping) else None
    for name, artifact in (artifacts or {}).items():
        properties = artifact.get("properties") or {}
        if artifact.get("type") == "cdk:cloud-assembly":
            _add_assembly(reading, folder / str(properties.get("directoryName", name)))
        elif artifact.get("type") == "aws:cloudformation:stack":
            file = folder / str(properties.get("templateFile", f"{name}.template.json"))
            source = _template(reading, file, str(properties.get("stackName", name)))
            if source is not None:
                location = str(artifact.get("environment", "")).removeprefix("aws://").split("/")
                for one in source.all():
                    one.account, one.region = (
                        None if not part or part.startswith("unknown-") else part
                        for part in [*location, "", ""][:2]
                    )
                reading.sources.append(source)


def _template(reading: Reading, path: Path, name: str) -> Source | None:
    try:
        text = path.read_text(encoding="utf-8")
        content = documents_of(text)[0]
    except (OSError, ValueError, yaml.YAMLError, IndexError) as error:
        reading.faults.append(_unreadable(str(path), error))
        return None
    source = Source(path=str(path), kind=CLOUDFORMATION, content=content, text=text, name=name)
    for logical_id, resource in _nested(content):
        asset = (resource.get("Metadata") or {}).get("aws:asset:path")
        if isinstance(asset, str):
            child = _template(reading, path.parent / asset, f"{name}/{logical_id}")
            if child is not None:
                source.children[logical_id] = child
    return source


def _nested(content: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:  # noqa: ANN401 (JSON)
    resources = content.get("Resources") if isinstance(content, Mapping) else None
    for logical_id, resource in (resources or {}).items():
        if isinstance(resource, Mapping) and resource.get("Type") == "AWS::CloudFormation::Stack":
            yield logical_id, resource


def _add_file(reading: Reading, path: Path, *, is_asked: bool) -> None:
    if is_asked and path.name == "manifest.json" and _is_assembly(path.parent):
        _add_assembly(reading, path.parent)
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        if is_asked or not isinstance(error, UnicodeDecodeError):
            reading.faults.append(_unreadable(str(path), error))
        return
    _add(reading, str(path), text, is_asked=is_asked)


def _add(reading: Reading, path: str, text: str, *, is_asked: bool) -> None:
    try:
        documents = documents_of(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        if is_asked or any(word in text for word in _ABOUT_ACCESS):
            reading.faults.append(_unreadable(path, error))
        return
    for content in documents:
        for kind, one in _recognised(content):
            reading.sources.append(
                Source(
                    path=path,
                    kind=kind,
                    content=one,
                    text=text,
                    name=Path(path).name.partition(".")[0],
                )
            )


def _recognised(content: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 (JSON)
    if isinstance(content, list):
        for one in content:
            yield from _recognised(one)
    elif isinstance(content, Mapping):
        yield from _recognised_object(content)


def _is_template(content: Mapping[str, Any]) -> bool:
    resources = content.get("Resources")
    return isinstance(resources, Mapping) and (
        "AWSTemplateFormatVersion" in content
        or "Transform" in content
        or any(isinstance(one, Mapping) and "Type" in one for one in resources.values())
        or any(str(key).startswith("Fn::") for key in resources)
    )


def _recognised_object(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    if _is_template(content):
        yield CLOUDFORMATION, content
    elif "planned_values" in content or "resource_changes" in content:
        yield TERRAFORM, content
    elif "apiVersion" in content and "kind" in content:
        if content["kind"] == "List":
            yield from _recognised(content.get("items") or [])
        else:
            yield KUBERNETES, content
    elif _is_trust(content):
        yield POLICY, content
    else:
        for key in ("Role", "AssumeRolePolicyDocument", "Roles"):
            if key in content:
                yield from _recognised(content[key])
                return


def _is_trust(content: Mapping[str, Any]) -> bool:
    statements = content.get("Statement")
    many: Iterable[Any] = statements if isinstance(statements, list) else [statements]
    return any(
        isinstance(one, Mapping) and ("Principal" in one or "NotPrincipal" in one) for one in many
    )


def _unreadable(path: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:160]
    return (
        f"file must be JSON or YAML that can be read, got {path!r}: {reason}; correct or render it"
    )
