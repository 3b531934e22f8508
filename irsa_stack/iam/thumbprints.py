"""The article's three ways to the thumbprints of an OIDC provider."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irsa_stack.cloudformation.deploy_time import is_deploy_time, is_deploy_time_list
from irsa_stack.faults import InvalidInput, no_list_faults, refuse
from irsa_stack.iam.quotas import THUMBPRINTS

_THUMBPRINT = re.compile(r"[0-9a-f]{40}")
_SOURCES = ("computed", "exact", "chosen-by-iam")


@dataclass(frozen=True, slots=True)
class Thumbprints:
    """Say where the thumbprints of an OIDC provider come from.

    Make one with `computed`, `exact` or `chosen_by_iam`.

    See:
        https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
    """

    source: str
    values: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what none of the three ways gives."""
        if self.source not in _SOURCES or (self.source == "exact" and not self.values):
            raise InvalidInput(
                [
                    f"thumbprints must come from one of {', '.join(_SOURCES)}, got"
                    f" {self.source!r} and {len(self.values)} values; make them with"
                    " Thumbprints.computed(), .exact([...]) or .chosen_by_iam()"
                ]
            )

    @classmethod
    def computed(cls, *, additional: Sequence[str] = ()) -> "Thumbprints":
        """Let our function read the issuer's certificate chain at deploy time.

        Args:
            additional: thumbprints, 40 hexadecimal characters each, to trust beside the computed
                ones: the earlier one during a rotation. At most 4, or a list known at deploy.
                Default: none.

        Raises:
            InvalidInput: a value is no thumbprint, or there are too many.
        """
        additional = _listed(additional)
        refuse(thumbprints_faults(additional, of="additional", at_most=THUMBPRINTS - 1))
        return cls("computed", tuple(additional))

    @classmethod
    def exact(cls, values: Sequence[str]) -> "Thumbprints":
        """Trust these and no others: 1 to 5 of 40 hexadecimal characters each.

        Args:
            values: the thumbprints, or a list known only at deploy time.

        Raises:
            InvalidInput: a value is no thumbprint, or there are none or too many.
        """
        values = _listed(values)
        faults = list(thumbprints_faults(values, of="thumbprints", at_most=THUMBPRINTS))
        if not values:
            faults.append(
                "thumbprints must hold 1 to 5 values, got none; for IAM's choice use"
                " Thumbprints.chosen_by_iam()"
            )
        refuse(faults)
        return cls("exact", tuple(values))

    @classmethod
    def chosen_by_iam(cls) -> "Thumbprints":
        """Give none: IAM fetches one when the provider is created, and never again."""
        return cls("chosen-by-iam")


def _listed(values: Sequence[str]) -> Sequence[str]:
    return values if isinstance(values, str) else tuple(values)


def thumbprints_faults(values: Sequence[str], *, of: str, at_most: int) -> Iterator[str]:
    """Say what IAM would refuse of a list of thumbprints."""
    if faults := no_list_faults(values, of=of):
        yield from faults
        return
    if is_deploy_time_list(values):
        return
    if len(values) > at_most:
        yield f"{of} must hold at most {at_most} values, got {len(values)}; drop the oldest"
    for value in values:
        if is_deploy_time(value) or _THUMBPRINT.fullmatch(value):
            continue
        guess = value.replace(":", "").replace(" ", "").lower()
        fix = f"try {guess!r}" if _THUMBPRINT.fullmatch(guess) else "it is a SHA-1, not a SHA-256"
        yield (
            f"{of} must be 40 lower-case hexadecimal characters each (SHA-1), got {value!r}"
            f" ({len(value)} characters); {fix}"
        )
    for value in sorted({value for value in values if list(values).count(value) > 1}):
        yield f"{of} must hold each value once, got {value!r} twice; remove one"
