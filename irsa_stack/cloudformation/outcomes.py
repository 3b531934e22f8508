"""What a template's values can turn out to be: each outcome of its intrinsic functions.

What only a deploy can tell stays a deploy-time value, the same one for the same expression. Values
that cannot hold wildcards are marked as plain.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irsa_stack.cloudformation.deploy_time import TOKEN, is_deploy_time

OUTCOMES_AT_MOST = 256
"""How many outcomes of one value are followed."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_FOR_EACH = "Fn::ForEach::"
_PROVIDERS = ("AWS::IAM::OIDCProvider", "Custom::AWSCDKOpenIdConnectProvider")
_REMOVED = object()


@dataclass(frozen=True, kw_only=True)
class Outcomes:
    """What a value can turn out to be.

    Args:
        values: one each.
        is_complete: whether these are all.
    """

    values: Sequence[Any]
    is_complete: bool


class _UndecidedError(Exception):
    """A choice that nothing has decided yet."""

    def __init__(self, choice: str, options: Sequence[Any]) -> None:
        self.choice = choice
        self.options = options
        super().__init__(choice)


@dataclass(frozen=True, kw_only=True)
class Template:
    """Resolve parts of one template.

    Args:
        resources: its resources.
        parameters: its parameters.
        mappings: its mappings.
        conditions: its conditions.
        known: values of parameters and pseudo parameters.
    """

    resources: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, template: Mapping[str, Any], known: Mapping[str, str]) -> "Template":
        """Return *template* with its loops written out."""
        whole = cls(
            resources={},
            parameters=template.get("Parameters") or {},
            mappings=template.get("Mappings") or {},
            conditions=template.get("Conditions") or {},
            known=known,
        )
        return cls(
            resources=dict(whole.written_out(template.get("Resources", {}))),
            parameters=whole.parameters,
            mappings=whole.mappings,
            conditions=whole.conditions,
            known=known,
        )

    def outcomes(self, value: Any) -> Outcomes:  # noqa: ANN401 (JSON)
        """Return what *value* can turn out to be."""
        found: list[Any] = []
        open_ways: list[dict[str, Any]] = [{}]
        while open_ways:
            chosen = open_ways.pop()
            try:
                resolved = _Resolver(self, chosen).resolved(value)
            except _UndecidedError as undecided:
                if len(found) + len(open_ways) + len(undecided.options) > OUTCOMES_AT_MOST:
                    return Outcomes(values=found, is_complete=False)
                open_ways += [
                    {**chosen, undecided.choice: option} for option in reversed(undecided.options)
                ]
                continue
            found.append(None if resolved is _REMOVED else resolved)
        return Outcomes(values=found, is_complete=True)

    def resolved(self, value: Any) -> Any:  # noqa: ANN401 (JSON)
        """Return *value* resolved; what has several outcomes is a deploy-time value."""
        resolved = _Resolver(self, None).resolved(value)
        return None if resolved is _REMOVED else resolved

    def written_out(self, body: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """Return the items of *body* with each `Fn::ForEach` written out."""
        for key, item in body.items():
            if not key.startswith(_FOR_EACH):
                yield key, item
                continue
            if not (isinstance(item, list) and len(item) == 3):  # noqa: PLR2004 (its three parts)
                yield key, unknown({key: item})
                continue
            name, collection, output = item
            values = self.resolved(collection)
            for value in values if isinstance(values, list) else [unknown(collection)]:
                yield from self.written_out(_filled_in(output, str(name), value))


def _filled_in(value: Any, name: str, with_value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return the body of a loop with its variable filled in."""
    if isinstance(value, str):
        return value.replace(f"${{{name}}}", str(with_value)).replace(
            f"&{{{name}}}", re.sub(r"[^A-Za-z0-9]", "", str(with_value))
        )
    if isinstance(value, list):
        return [_filled_in(item, name, with_value) for item in value]
    if isinstance(value, Mapping):
        if value == {"Ref": name}:
            return with_value
        return {
            _filled_in(key, name, with_value): _filled_in(item, name, with_value)
            for key, item in value.items()
        }
    return value


class _Resolver:
    """Resolve with some choices made; without any (`None`), choices stay unknown."""

    def __init__(self, template: Template, chosen: Mapping[str, Any] | None) -> None:
        self._template = template
        self._chosen = chosen
        self._visited: list[str] = []

    def resolved(self, value: Any) -> Any:  # noqa: ANN401 (JSON)
        if isinstance(value, list):
            return [one for item in value if (one := self.resolved(item)) is not _REMOVED]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref" or (
                function.startswith("Fn::") and not function.startswith(_FOR_EACH)
            ):
                return self._called(function, argument)
        elif "Fn::Transform" in value:
            return unknown(value)
        found = {}
        for key, item in self._template.written_out(value):
            one = self.resolved(item)
            if one is not _REMOVED:
                found[key] = one
        return found

    def _choice(self, choice: str, options: Sequence[Any], otherwise: Any) -> Any:  # noqa: ANN401
        if self._chosen is None:
            return otherwise
        if choice not in self._chosen:
            raise _UndecidedError(choice, options)
        return self._chosen[choice]

    def _called(self, function: str, argument: Any) -> Any:  # noqa: ANN401, C901 (one each)
        found: Any = None
        match function, argument:
            case "Ref", str(name):
                found = self._ref(name)
            case "Fn::If", [str(name), yes, no]:
                found = self._if(name, yes, no)
            case "Fn::Join", [str(separator), parts]:
                found = self._joined(separator, parts)
            case "Fn::Split", [str(separator), text]:
                found = self._split(separator, text)
            case "Fn::Select", [position, items]:
                found = self._selected(position, items)
            case "Fn::Sub", str(text):
                found = self._substituted(text, {})
            case "Fn::Sub", [str(text), Mapping() as variables]:
                found = self._substituted(text, variables)
            case "Fn::GetAtt", [str(name), str(attribute)]:
                found = self._attribute(name, attribute)
            case "Fn::GetAtt", str(text) if "." in text:
                found = self._attribute(*text.split(".", 1))
            case "Fn::FindInMap", [name, first, second, *rest]:
                found = self._mapped(name, first, second, rest)
            case "Fn::Base64", text:
                found = self._base64(text)
            case "Fn::ToJsonString", value:
                found = json.dumps(self.resolved(value))
        return unknown({function: argument}) if found is None else found

    def _ref(self, name: str) -> Any:  # noqa: ANN401 (JSON)
        if name == "AWS::NoValue":
            return _REMOVED
        if name in self._template.known:
            return self._template.known[name]
        if name.startswith("AWS::"):
            return plain({"Ref": name})
        parameter = self._template.parameters.get(name)
        if isinstance(parameter, Mapping):
            return self._parameter(name, parameter)
        return self._resource(name, {"Ref": name})

    def _parameter(self, name: str, parameter: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
        kind = str(parameter.get("Type", "String"))
        reference = {"Ref": name}
        allowed = parameter.get("AllowedValues")
        in_store = kind.startswith("AWS::SSM::Parameter::Value")
        if isinstance(allowed, list) and allowed and not in_store:
            return self._choice(
                f"parameter {name}", [str(one) for one in allowed], plain(reference)
            )
        if "Default" in parameter and not in_store:
            default = str(parameter["Default"])
            if kind == "CommaDelimitedList" or kind.startswith("List<"):
                return [item.strip() for item in default.split(",")]
            return default
        if kind.startswith("AWS::") and not in_store:
            return plain(reference)
        return plain(reference) if _refuses_wildcards(parameter) else unknown(reference)

    def _resource(self, name: str, reference: Mapping[str, Any]) -> str:
        resource = self._template.resources.get(name)
        if not isinstance(resource, Mapping):
            return unknown(reference)
        kind = str(resource.get("Type", ""))
        if kind in _PROVIDERS:
            return self._provider(resource)
        return _given_out(kind, reference)

    def _provider(self, resource: Mapping[str, Any]) -> str:
        """Return the ARN of an OIDC provider, which ends in its issuer."""
        url = self.resolved((resource.get("Properties") or {}).get("Url"))
        issuer = without_scheme(url) if isinstance(url, str) else unknown(url)
        partition, account = self._ref("AWS::Partition"), self._ref("AWS::AccountId")
        return f"arn:{partition}:iam::{account}:oidc-provider/{issuer}"

    def _attribute(self, name: str, attribute: str) -> Any:  # noqa: ANN401 (JSON)
        reference = {"Fn::GetAtt": [name, attribute]}
        resource = self._template.resources.get(name) or {}
        kind = str(resource.get("Type", ""))
        if attribute == "OpenIdConnectIssuerUrl":
            return f"https://{_issuer_token(name)}"
        if attribute == "OpenIdConnectIssuer":
            return _issuer_token(name)
        if kind == "Custom::AWSCDKCfnJson" and attribute == "Value":
            return self._cfn_json(resource)
        if kind in _PROVIDERS and attribute == "Arn":
            return self._provider(resource)
        return _given_out(kind, reference)

    def _cfn_json(self, resource: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
        """Read what the CDK's constructs hide behind a custom resource: keys that hold tokens."""
        text = self.resolved(resource["Properties"]["Value"])
        try:
            return json.loads(text)
        except (TypeError, ValueError):
            return None

    def _if(self, name: str, yes: Any, no: Any) -> Any:  # noqa: ANN401 (JSON)
        holds = self._holds({"Condition": name})
        if holds is None:
            one, other = self.resolved(yes), self.resolved(no)
            return one if one == other else unknown({"Fn::If": [name, yes, no]})
        return self.resolved(yes if holds else no)

    def _holds(self, condition: Any) -> bool | None:  # noqa: ANN401 (JSON)
        """Whether a condition holds; each comparison may or may not, whatever it compares."""
        match condition:
            case {"Condition": str(name)} if (
                name in self._template.conditions and name not in self._visited
            ):
                self._visited.append(name)
                try:
                    return self._holds(self._template.conditions[name])
                finally:
                    self._visited.pop()
            case {"Fn::Not": [one]}:
                holds = self._holds(one)
                return None if holds is None else not holds
            case {"Fn::And": [*all_of]}:
                found = [self._holds(one) for one in all_of]
                return None if None in found else all(found)
            case {"Fn::Or": [*any_of]}:
                found = [self._holds(one) for one in any_of]
                return None if None in found else any(found)
        choice = f"condition {json.dumps(condition, sort_keys=True, default=str)}"
        holds = self._choice(choice, [True, False], None)
        return None if holds is None else bool(holds)

    def _joined(self, separator: str, parts: Any) -> str | None:  # noqa: ANN401 (JSON)
        texts = self.resolved(parts)
        if isinstance(texts, list) and all(isinstance(text, str | int | float) for text in texts):
            return separator.join(map(str, texts))
        return None

    def _split(self, separator: str, text: Any) -> list[str] | None:  # noqa: ANN401 (JSON)
        whole = self.resolved(text)
        if not isinstance(whole, str) or not separator:
            return None
        tokens = TOKEN.findall(whole)
        may_hold_it = any(
            not is_plain(token) or (separator == "/" and "issuer" in token) for token in tokens
        )
        if may_hold_it:
            return None
        hidden = TOKEN.sub("\0", whole)
        following = iter(tokens)
        return [re.sub("\0", lambda _: next(following), piece) for piece in hidden.split(separator)]

    def _selected(self, position: Any, items: Any) -> Any:  # noqa: ANN401 (JSON)
        choices = self.resolved(items)
        index = self.resolved(position)
        if isinstance(choices, list) and str(index).isdigit() and int(index) < len(choices):
            return choices[int(index)]
        match str(index), items:
            case "1", {
                "Fn::Split": [("//" | "https://" | ":oidc-provider/" | "oidc-provider/"), text]
            }:
                whole = self.resolved(text)
                return without_scheme(whole) if isinstance(whole, str) else None
            case "0", {"Fn::Split": ['"', text]}:
                whole = self.resolved(text)
                return whole if isinstance(whole, str) and '"' not in whole else None
        return None

    def _substituted(self, text: str, variables: Mapping[str, Any]) -> str:
        def one(variable: re.Match[str]) -> str:
            name = variable[1].strip()
            if name.startswith("Token["):
                return variable[0]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                value: Any = variables[name]
            else:
                value = {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}
            found = self.resolved(value)
            return str(found) if isinstance(found, str | int | float) else unknown(value)

        return _VARIABLE.sub(one, text)

    def _mapped(self, name: Any, first: Any, second: Any, rest: list[Any]) -> Any:  # noqa: ANN401
        mapping: Any = self._template.mappings.get(str(self.resolved(name)))
        for key in (first, second):
            if not isinstance(mapping, Mapping):
                break
            wanted = self.resolved(key)
            if is_deploy_time(wanted):
                wanted = self._choice(f"key {wanted} of {sorted(mapping)}", sorted(mapping), None)
            mapping = mapping.get(str(wanted))
        if mapping is None and rest and isinstance(rest[0], Mapping):
            return self.resolved(rest[0].get("DefaultValue"))
        return mapping

    def _base64(self, text: Any) -> str | None:  # noqa: ANN401 (JSON)
        whole = self.resolved(text)
        if not isinstance(whole, str):
            return None
        if is_deploy_time(whole):
            return plain({"Fn::Base64": whole})
        return base64.b64encode(whole.encode()).decode()


def unknown(value: object) -> str:
    """Write what is not known as the CDK does, without characters that mean something in ARNs."""
    return f"${{Token[{_as_name(value)}]}}"


def plain(value: object) -> str:
    """Write what is not known, but holds no wildcards."""
    return f"${{Token[plain.{_as_name(value)}]}}"


def _given_out(kind: str, reference: Mapping[str, Any]) -> str:
    """Return what a resource gives out: AWS' own names and ARNs, or whatever its author wants."""
    is_anything = not kind.startswith("AWS::") or kind.startswith(
        ("AWS::CloudFormation::", "AWS::SSM::")
    )
    return unknown(reference) if is_anything else plain(reference)


def is_plain(token: str) -> bool:
    """Whether a deploy-time value holds no wildcards."""
    return token.startswith("${Token[plain.")


def without_scheme(url: str) -> str:
    """Return the issuer of a URL, or of a provider's ARN, that may be known only at deploy."""
    if TOKEN.fullmatch(url):
        return url if "[plain.issuer." in url else _issuer_token(url)
    return re.sub(r"^https?://", "", url)


def _issuer_token(of: str) -> str:
    return f"${{Token[plain.issuer.{_as_name(of)}]}}"


def _as_name(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return re.sub(r"[^A-Za-z0-9]+", ".", text).strip(".")


def _refuses_wildcards(parameter: Mapping[str, Any]) -> bool:
    pattern = parameter.get("AllowedPattern")
    if not isinstance(pattern, str):
        return False
    try:
        allowed = re.compile(pattern)
    except re.error:
        return False
    return not any(
        allowed.fullmatch(text)
        for text in ("*", "?", "a*", "*a", "a*a", "a?", "a:*", "a-*", "${a}")
    )
