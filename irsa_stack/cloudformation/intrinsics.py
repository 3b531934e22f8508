"""CloudFormation's intrinsic functions, resolved as far as literals go.

What only a deploy can tell stays a deploy-time value, the same one for the same expression.

See: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from irsa_stack.cloudformation.deploy_time import is_deploy_time

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


@dataclass(frozen=True, kw_only=True)
class Intrinsics:
    """Resolve parts of one template.

    Args:
        resources: the template's resources, for the conditions that the CDK hides in `CfnJson`.
        known: values of parameters and pseudo parameters.
    """

    resources: Mapping[str, Any]
    known: Mapping[str, str]

    def resolved(self, value: Any) -> Any:  # noqa: ANN401 (JSON)
        """Return *value* with its intrinsic functions resolved."""
        if isinstance(value, list):
            return [self.resolved(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref" or function.startswith("Fn::"):
                found = self._called(function, argument)
                return _unknown(value) if found is None else found
        return {key: self.resolved(item) for key, item in value.items()}

    def _called(self, function: str, argument: object) -> object:
        """Return what a function gives, or None if only the deploy can tell."""
        found: object = None
        match function, argument:
            case "Ref", str(name):
                found = self.known.get(name)
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
            case "Fn::GetAtt", [str(name), "Value"]:
                found = self._cfn_json(name)
        return found

    def _joined(self, separator: str, parts: object) -> str | None:
        texts = self.resolved(parts)
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            return separator.join(texts)
        return None

    def _split(self, separator: str, text: object) -> list[str] | None:
        whole = self.resolved(text)
        if not isinstance(whole, str) or is_deploy_time(whole):
            return None
        return whole.split(separator)

    def _selected(self, position: Any, items: object) -> object:  # noqa: ANN401 (JSON)
        choices = self.resolved(items)
        if isinstance(choices, list) and str(position).isdigit() and int(position) < len(choices):
            return choices[int(position)]
        return None

    def _substituted(self, text: str, variables: Mapping[str, Any]) -> str:
        def one(variable: re.Match[str]) -> str:
            name = variable[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                value: Any = variables[name]
            else:
                value = {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}
            found = self.resolved(value)
            return found if isinstance(found, str) else _unknown(value)

        return _VARIABLE.sub(one, text)

    def _cfn_json(self, name: str) -> object:
        """Read what the CDK's constructs hide behind a custom resource: keys that hold tokens."""
        resource = self.resources.get(name, {})
        if resource.get("Type") != "Custom::AWSCDKCfnJson":
            return None
        try:
            found: object = json.loads(self.resolved(resource["Properties"]["Value"]))
        except ValueError:
            return None
        return found


def _unknown(value: object) -> str:
    """Write what is not known as the CDK does, without characters that mean something in ARNs."""
    text = re.sub(r"[^A-Za-z0-9]+", ".", json.dumps(value, sort_keys=True, default=str))
    return f"${{Token[{text}]}}"
