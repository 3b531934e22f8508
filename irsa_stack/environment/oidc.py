"""The IAM OIDC provider of an environment."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from irsa_stack.environment.part import Part
from irsa_stack.faults import InvalidInput, refuse
from irsa_stack.iam import quotas
from irsa_stack.iam.thumbprints import Thumbprints, thumbprints_faults

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)


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
        """Return the certificates of *ca_bundle_file*, which is relative to *folder*.

        Nothing else of the file: what it holds goes into the template.

        Raises:
            InvalidInput: the file cannot be read, or holds a private key or no certificate.
        """
        if self.ca_bundle_file is None:
            return None
        try:
            text = (folder / self.ca_bundle_file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise InvalidInput(
                [
                    "oidc.ca_bundle_file must be a PEM file beside the environment file, got"
                    f" {self.ca_bundle_file[:80]!r}; correct it, because: {why}"
                ]
            ) from None
        if "PRIVATE KEY-----" in text:
            refuse(
                [
                    "oidc.ca_bundle_file must hold certificates only, got a private key in"
                    f" {self.ca_bundle_file!r}; name the file of the CA's certificate, because all"
                    " of the file would stand in the template"
                ]
            )
        certificates = _CERTIFICATE.findall(text)
        if not certificates:
            refuse(
                [
                    "oidc.ca_bundle_file must hold '-----BEGIN CERTIFICATE-----', got none in"
                    f" {self.ca_bundle_file!r}; convert it with `openssl x509 -inform der`"
                ]
            )
        return "\n".join([*certificates, ""])

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
