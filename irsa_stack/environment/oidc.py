"""The IAM OIDC provider of an environment."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.iam import quotas
from irsa_stack.iam.thumbprints import Thumbprints, thumbprints_faults


class OidcSettings(Part):
    """The IAM OIDC provider."""

    thumbprints: Literal["computed", "exact", "chosen-by-iam"] = "computed"
    """Where its thumbprints come from."""
    values: list[str] = Field(default_factory=list)
    """Thumbprints: all of them for `exact`, those to keep beside the others for `computed`."""
    refresh: str | None = None
    """Any text; change it to compute anew."""
    ca_bundle_file: str | None = None
    """File with PEM certificates of a private CA, relative to this file."""
    allow_private: bool = False
    """Whether the issuer may live at an address that is not globally routable."""

    def ca_bundle(self, folder: Path) -> str | None:
        """Return the PEM text of *ca_bundle_file*, which is relative to *folder*.

        Raises:
            InvalidInput: the file cannot be read.
        """
        if self.ca_bundle_file is None:
            return None
        path = folder / self.ca_bundle_file
        try:
            return path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                [f"oidc.ca_bundle_file must be a PEM file, got {str(path)!r}; {error}"]
            ) from None

    @model_validator(mode="after")
    def _as_thumbprints(self) -> Self:
        _ = self.source
        return self

    @property
    def source(self) -> Thumbprints:
        """The same as the construct's value."""
        if self.thumbprints == "exact":
            return Thumbprints.exact(self.values)
        if self.thumbprints == "computed":
            refuse(thumbprints_faults(self.values, of="values", at_most=quotas.THUMBPRINTS - 1))
            return Thumbprints.computed(additional=self.values)
        if self.values:
            raise ValueError(
                f"values must not be given with chosen-by-iam, got {self.values!r}; use exact"
            )
        return Thumbprints.chosen_by_iam()
