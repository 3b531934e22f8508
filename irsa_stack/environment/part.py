"""What every part of an environment file has."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A part of an environment file: unknown keys and wrong types are faults."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )
