"""Kinds of values in an environment file, each with its rule."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from pydantic import AfterValidator

from irsa_stack.eks.naming import network_id_faults, vpc_id_faults
from irsa_stack.faults import refuse
from irsa_stack.iam import quotas
from irsa_stack.iam.arn import arn_faults
from irsa_stack.kubernetes.identity import name_faults, namespace_faults

# Two of them and a hyphen are the name of a cluster.
_WORD = re.compile(r"[a-z](?:[-a-z0-9]{0,47}[a-z0-9])?")


def checked(faults: Callable[[Any], Iterable[str]]) -> AfterValidator:
    """Validate with a rule of ours, keeping all of its faults."""

    def check(value: Any) -> Any:  # noqa: ANN401 (of the field's type)
        refuse(faults(value))
        return value

    return AfterValidator(check)


def cidr_faults(cidr: str) -> Iterator[str]:
    """Say why *cidr* is no block of addresses."""
    try:
        ipaddress.ip_network(cidr)
    except ValueError as error:
        reason = str(error).removeprefix(f"{cidr!r} ").removeprefix(f"{cidr} ")
        yield f"must be a CIDR block such as 10.0.0.0/16, got {cidr!r}; it {reason}"


def _word_faults(word: str) -> Iterator[str]:
    if not _WORD.fullmatch(word):
        yield (
            "must be 1-49 lower-case letters, digits and '-', starting with a letter, got"
            f" {word!r}; correct it, because it becomes part of the cluster's name"
        )


def _arn(kind: str) -> AfterValidator:
    return checked(lambda arn: arn_faults(arn, kind, of="value"))


def matching(pattern: str, example: str) -> AfterValidator:
    """Ask for a text that *pattern* matches whole, such as *example*."""
    rule = re.compile(pattern)

    def faults(value: str) -> Iterator[str]:
        if not rule.fullmatch(value):
            yield f"must be such as {example}, got {value!r}; correct it"

    return checked(faults)


_TAG_VALUE = re.compile(r"[\w\s.:/=+@-]*")  # Unicode's letters, digits and spaces too
_TAG_KEY_CHARACTERS, _TAG_VALUE_CHARACTERS = 128, 256


def _tags_faults(tags: dict[str, str]) -> Iterator[str]:
    """Say what IAM would refuse, whose rule for tags is the narrowest.

    See: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
    """
    for key, value in tags.items():
        if key.lower().startswith("aws:") or not 1 <= len(key) <= _TAG_KEY_CHARACTERS:
            yield (
                "must have keys of 1-128 characters, not starting with aws:, got"
                f" {key!r}; rename it"
            )
        if len(value) > _TAG_VALUE_CHARACTERS:
            yield (
                f"must have values of at most 256 characters, got {len(value)} for {key!r};"
                " shorten it"
            )
        for text in (key, value):
            if not _TAG_VALUE.fullmatch(text):
                yield (
                    "must use letters, digits, spaces and _.:/=+-@, which is all that IAM takes,"
                    f" got {text!r} in {key!r}; leave the others out"
                )


PolicyArn = Annotated[str, _arn("policy")]
RoleArn = Annotated[str, _arn("role")]
Cidr = Annotated[str, checked(cidr_faults)]
VpcId = Annotated[str, checked(lambda value: vpc_id_faults(value, of="value"))]
SubnetId = Annotated[str, checked(lambda value: network_id_faults(value, "subnet", of="value"))]
SecurityGroupId = Annotated[str, checked(lambda value: network_id_faults(value, "sg", of="value"))]
KeyArn = Annotated[
    str,
    matching(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[0-9A-Za-z-]+",
        "arn:aws:kms:eu-west-1:111122223333:key/ID",
    ),
]
RoleName = Annotated[str, checked(lambda name: quotas.role_name_faults(name, of="value"))]
RolePath = Annotated[str, checked(lambda path: quotas.path_faults(path, of="value"))]
Namespace = Annotated[str, checked(namespace_faults)]
AccountName = Annotated[str, checked(name_faults)]
Word = Annotated[str, checked(_word_faults)]
TagMap = Annotated[dict[str, str], checked(_tags_faults)]
