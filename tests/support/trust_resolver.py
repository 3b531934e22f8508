"""What CloudFormation would make of a template: values resolved, trust policies as documents.

Every assertion on a trust policy goes through here, whether the template holds it as a plain
object or as a JSON string built with `Fn::Sub` or `Fn::Join`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ACCOUNT = "111122223333"
_CLUSTER_ID = "0123456789ABCDEF0123456789ABCDEF"


@dataclass(frozen=True)
class Place:
    """Where a template is deployed."""

    partition: str
    region: str
    suffix: str = "amazonaws.com"

    @property
    def issuer(self) -> str:
        """Issuer of a cluster made there."""
        return f"oidc.eks.{self.region}.{self.suffix}/id/{_CLUSTER_ID}"

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:iam::{ACCOUNT}:{resource}"


COMMERCIAL = Place("aws", "eu-west-1")
CHINA = Place("aws-cn", "cn-north-1", "amazonaws.com.cn")
GOVERNMENT = Place("aws-us-gov", "us-gov-west-1")
PLACES = (COMMERCIAL, CHINA, GOVERNMENT)


@dataclass(frozen=True)
class Deployment:
    """Templates of one app, by stack name, as they would be in a place."""

    templates: Mapping[str, Mapping[str, Any]]
    place: Place = COMMERCIAL
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def resources(self, *types: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Stack, logical id and body of each resource of these types."""
        for stack, template in self.templates.items():
            for logical_id, resource in template.get("Resources", {}).items():
                if not types or resource["Type"] in types:
                    yield stack, logical_id, resource

    def web_identity_roles(self) -> dict[str, "Trusted"]:
        """Every role that a web identity can assume, by logical id."""
        found = {}
        for stack, logical_id, resource in self.resources("AWS::IAM::Role"):
            document = self.trust_policy(stack, resource)
            if "WebIdentity" in json.dumps(document):
                tags = self.value(stack, resource["Properties"].get("Tags", []))
                found[logical_id] = Trusted(document, {tag["Key"]: tag["Value"] for tag in tags})
        return found

    def only_role(self) -> dict[str, Any]:
        """The trust policy of the one role that a web identity can assume."""
        [role] = self.web_identity_roles().values()
        return role.document

    def trust_policy(self, stack: str, role: Mapping[str, Any]) -> dict[str, Any]:
        """The trust policy of a role, parsed if the template holds a string."""
        value = self.value(stack, role["Properties"]["AssumeRolePolicyDocument"])
        document = json.loads(value) if isinstance(value, str) else value
        assert isinstance(document, dict)
        return document

    def value(self, stack: str, value: Any) -> Any:
        """Resolve what the template says, as CloudFormation would."""
        if isinstance(value, list):
            return [self.value(stack, item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            [(function, argument)] = value.items()
            if function == "Ref":
                return self._ref(stack, argument)
            if function.startswith("Fn::"):
                return getattr(self, "_" + function[4:].lower())(stack, argument)
        return {key: self.value(stack, item) for key, item in value.items()}

    def _ref(self, stack: str, name: str) -> Any:
        pseudo = {
            "AWS::Partition": self.place.partition,
            "AWS::Region": self.place.region,
            "AWS::URLSuffix": self.place.suffix,
            "AWS::AccountId": ACCOUNT,
            "AWS::StackName": stack,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        template = self.templates[stack]
        if name in template.get("Parameters", {}):
            return template["Parameters"][name]["Default"]
        resource = template["Resources"][name]
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::IAM::OIDCProvider":
            url = self.value(stack, properties["Url"])
            assert url.startswith("https://"), url
            return self.place.arn(f"oidc-provider/{url.removeprefix('https://')}")
        named = {"AWS::IAM::Role": "RoleName", "AWS::EKS::Cluster": "Name"}
        return self.value(stack, properties.get(named.get(resource["Type"], ""), name))

    def _getatt(self, stack: str, argument: Any) -> Any:
        name, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        resource = self.templates[stack]["Resources"][name]
        if attribute == "OpenIdConnectIssuerUrl":
            return f"https://{self.place.issuer}"
        if resource["Type"] == "AWS::IAM::OIDCProvider" and attribute == "Arn":
            return self._ref(stack, name)
        if resource["Type"] == "AWS::IAM::Role" and attribute == "Arn":
            path = self.value(stack, resource["Properties"].get("Path", "/"))
            return self.place.arn(f"role{path}{self._ref(stack, name)}")
        if resource["Type"] == "AWS::Logs::LogGroup" and attribute == "Arn":
            return f"arn:{self.place.partition}:logs:{self.place.region}:{ACCOUNT}:log-group:{name}"
        return f"{name}.{attribute}"

    def _sub(self, stack: str, argument: Any) -> str:
        text, variables = (argument, {}) if isinstance(argument, str) else argument

        def one(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in variables:
                return str(self.value(stack, variables[name]))
            return str(self._getatt(stack, name) if "." in name else self._ref(stack, name))

        return re.sub(r"\$\{([^}]*)\}", one, text)

    def _join(self, stack: str, argument: Any) -> str:
        return argument[0].join(self.value(stack, argument[1]))

    def _split(self, stack: str, argument: Any) -> list[str]:
        return self.value(stack, argument[1]).split(argument[0])

    def _select(self, stack: str, argument: Any) -> Any:
        return self.value(stack, argument[1])[int(argument[0])]

    def _base64(self, stack: str, argument: Any) -> str:
        return self.value(stack, argument)  # as text, for those who look into it

    def _getazs(self, stack: str, argument: Any) -> list[str]:  # noqa: ARG002 (any region)
        return [f"{self.place.region}{letter}" for letter in "abcdef"]

    def _importvalue(self, stack: str, argument: Any) -> Any:
        wanted = self.value(stack, argument)
        for exporter, template in self.templates.items():
            for output in template.get("Outputs", {}).values():
                if self.value(exporter, output.get("Export", {}).get("Name")) == wanted:
                    return self.value(exporter, output["Value"])
        raise AssertionError(f"no stack exports {wanted!r}")


@dataclass(frozen=True)
class Trusted:
    """A role that a web identity can assume."""

    document: dict[str, Any]
    tags: dict[str, str]

    @property
    def statement(self) -> dict[str, Any]:
        [statement] = self.document["Statement"]
        return statement

    def tested(self, claim: str) -> dict[str, Any]:
        """Condition operator -> value for a claim, whatever the key's prefix."""
        return {
            operator: value
            for operator, tests in self.statement["Condition"].items()
            for key, value in tests.items()
            if key.endswith(f":{claim}")
        }
