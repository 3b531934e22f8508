"""Report every fault of an input at once, each as `<property> must <rule>, got <value>; <fix>`."""

from collections.abc import Iterable


class InvalidInput(ValueError):  # noqa: N818 (what it is, as the errors of the CDK have it)
    """An input breaks at least one rule.

    Attributes:
        faults: one sentence a fault, in the order in which they were found.
    """

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))

    def __reduce__(self) -> tuple[type["InvalidInput"], tuple[tuple[str, ...]]]:
        """Pickle the faults: of the joined text, unpickling would make one fault a character."""
        return type(self), (self.faults,)


def refuse(faults: Iterable[str]) -> None:
    """Raise `InvalidInput` if there is any fault."""
    found = tuple(faults)
    if found:
        raise InvalidInput(found)


def no_list_faults(values: object, *, of: str) -> list[str]:
    """Say why *values*, the property *of*, is no list: a text would be taken letter by letter."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        return [f"{of} must be a list, got {values!r}; put it in brackets"]
    return []
