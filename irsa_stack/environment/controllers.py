"""The controllers of an environment: every spec of `irsa_stack.controllers`, by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Literal,
    Self,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import Field, create_model, model_validator

from irsa_stack.controllers.catalogue import specs
from irsa_stack.controllers.spec import ControllerSpec
from irsa_stack.environment.part import Part
from irsa_stack.environment.values import Namespace
from irsa_stack.faults import refuse
from irsa_stack.kubernetes.binding_rules import binding_faults

Whose = Literal["CREATE", "ADOPT", "HELM", "NONE"]


class ControllerSettings(Part):
    """A controller: its options, and whose object its service account is."""

    kind: ClassVar[type[ControllerSpec]]

    namespace: Namespace
    """Namespace of its service account."""
    ownership: Whose = "CREATE"
    """Whose object its service account is."""
    force: bool = False
    """With ADOPT, whether to take annotations that another tool owns, such as a chart's."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        refuse(binding_faults(self.ownership, force=self.force))
        self.spec  # noqa: B018 (refuses wrong scopes)
        return self

    @property
    def spec(self) -> ControllerSpec:
        """The controller with its options."""
        return self.kind(
            **{option.name: getattr(self, option.name) for option in fields(self.kind)}
        )


class _Controllers(Part):
    """Controllers that get a role. Leave one out to leave it alone."""

    def chosen(self) -> Iterator[tuple[str, ControllerSettings]]:
        """Yield the controllers that the file names, with their keys."""
        for key in type(self).model_fields:
            settings = getattr(self, key)
            if settings is not None:
                yield key, settings


def _settings_of(kind: type[ControllerSpec]) -> type[ControllerSettings]:
    """Return the part of an environment file that is about one controller."""
    hints = get_type_hints(kind)
    options: dict[str, Any] = {
        option.name: (
            _in_file(hints[option.name]),
            Field(
                default=... if option.default is MISSING else option.default,
                json_schema_extra=_describe(kind, option.name),
            ),
        )
        for option in fields(kind)
    }
    made = create_model(
        f"{kind.__name__}Settings",
        __base__=ControllerSettings,
        __doc__=kind.__doc__ and kind.__doc__.partition("\n")[0],
        namespace=(Namespace, Field(default=kind.namespace)),
        ownership=(
            Whose,
            Field(default="CREATE" if kind.chart_annotates else "ADOPT"),
        ),
        **options,
    )
    made.kind = kind
    return made


def _describe(kind: type[ControllerSpec], option: str) -> Callable[[dict[str, Any]], None]:
    """Read the option's docstring only when a schema is written: that parses its source."""

    def describe(schema: dict[str, Any]) -> None:
        schema["description"] = kind.option_docs()[option].replace("\n", " ")

    return describe


def _in_file(hint: Any) -> Any:  # noqa: ANN401 (types)
    """Return the type that YAML has for a type of Python."""
    arguments = tuple(_in_file(argument) for argument in get_args(hint))
    if get_origin(hint) is Sequence:
        return list[arguments[0]]  # type: ignore[valid-type]
    if get_origin(hint) is Mapping:
        return dict[arguments[0], arguments[1]]  # type: ignore[valid-type]
    if get_origin(hint) in (Union, UnionType):
        return Union[arguments]  # noqa: UP007 (of a tuple)
    return hint


if TYPE_CHECKING:
    Controllers = _Controllers
else:
    Controllers = create_model(
        "Controllers",
        __base__=_Controllers,
        __doc__=_Controllers.__doc__,
        **{
            key: (
                _settings_of(kind) | None,
                Field(default=None, description=kind.__doc__.partition("\n")[0]),
            )
            for key, kind in specs().items()
        },
    )
