"""Kubernetes service accounts, named as Kubernetes names them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from irsa_stack.cloudformation.deploy_time import is_placeholder
from irsa_stack.faults import InvalidInput, refuse

SUBJECT_PREFIX = "system:serviceaccount:"
"""See: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#service-account-tokens"""

NAMESPACE_CHARACTERS = 63
NAME_CHARACTERS = 253

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")


@dataclass(frozen=True, order=True, slots=True)
class ServiceAccountIdentity:
    """Name one service account of a cluster.

    Args:
        namespace: RFC 1123 label, 1 to 63 characters.
        name: RFC 1123 subdomain, 1 to 253 characters.

    Raises:
        InvalidInput: either breaks Kubernetes' rule; all faults are listed.

    Examples:
        >>> ServiceAccountIdentity("apps", "api").subject
        'system:serviceaccount:apps:api'

    See:
        https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
    """

    namespace: str
    name: str

    def __post_init__(self) -> None:
        """Refuse illegal names."""
        refuse([*namespace_faults(self.namespace), *name_faults(self.name)])

    def __str__(self) -> str:
        """Return `namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def subject(self) -> str:
        """Value of the `sub` claim in this account's tokens."""
        return f"{SUBJECT_PREFIX}{self.namespace}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> "ServiceAccountIdentity":
        """Read `namespace/name`.

        Raises:
            InvalidInput: *text* is not two legal names with one slash between them.
        """
        if not isinstance(text, str):
            raise InvalidInput(
                [f"service_accounts must be 'namespace/name', got {text!r}; such as 'apps/api'"]
            )
        # The path of a parameter that is still to be looked up has slashes of its own.
        namespace, slash, name = (
            text.rpartition("/") if is_placeholder(text) else text.partition("/")
        )
        if not slash:
            raise InvalidInput(
                [f"service_accounts must be 'namespace/name', got {text!r}; add its namespace"]
            )
        return cls(namespace, name)


def namespace_faults(namespace: object) -> Iterator[str]:
    """Say what makes *namespace* no Kubernetes namespace name."""
    if isinstance(namespace, str) and ("*" in namespace or "?" in namespace):
        yield (
            f"namespace must be one exact name, got {namespace!r}; whoever may create such a"
            " namespace could assume the role, so list the namespaces"
        )
    elif not _fits(_NAMESPACE, namespace, NAMESPACE_CHARACTERS):
        yield (
            f"namespace must be 1-{NAMESPACE_CHARACTERS} characters of a-z, 0-9 and '-', starting"
            " and ending with a letter or digit, got"
            f" {namespace!r}{_closest(namespace, _NAMESPACE, NAMESPACE_CHARACTERS)}"
        )


def name_faults(name: object) -> Iterator[str]:
    """Say what makes *name* no Kubernetes service account name."""
    if isinstance(name, str) and ("*" in name or "?" in name):
        yield (
            f"service account name must be one exact name, got {name!r}; under StringEquals a"
            " wildcard matches nobody, so list the accounts or use subject_patterns"
        )
    elif not _fits(_NAME, name, NAME_CHARACTERS):
        yield (
            f"service account name must be 1-{NAME_CHARACTERS} characters of a-z, 0-9, '-' and"
            " '.', each part between dots starting and ending with a letter or digit, got"
            f" {name!r}{_closest(name, _NAME, NAME_CHARACTERS)}"
        )


def _fits(rule: re.Pattern[str], value: object, longest: int) -> bool:
    if is_placeholder(value):
        return True
    # fullmatch: `$` would let a trailing newline pass.
    return isinstance(value, str) and len(value) <= longest and rule.fullmatch(value) is not None


def _closest(value: object, rule: re.Pattern[str], longest: int) -> str:
    """Suggest what the writer may have meant, if that is legal."""
    if not isinstance(value, str):
        return f" ({type(value).__name__}); put it in quotes"
    guess = re.sub(r"[^a-z0-9.-]+", "-", value.strip().lower())
    guess = ".".join(part.strip("-") for part in guess.split(".") if part.strip("-"))
    guess = guess[:longest].strip("-.")
    if not rule.fullmatch(guess):
        guess = guess.replace(".", "-")
    return f"; try {guess!r}" if rule.fullmatch(guess) else "; choose another name"
