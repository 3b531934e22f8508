"""Instance types of EC2, as far as their names tell the processor."""

import re
from typing import Literal

# After the generation: `g` is Graviton, as in m7g, c7gn, im4gn, x2gd; before it, graphics.
# https://docs.aws.amazon.com/ec2/latest/instancetypes/instance-type-names.html
_FAMILY = re.compile(r"(?:u-\w+|[a-z]+?(\d+)([a-z0-9-]*))")


def architecture_of(instance_type: str) -> Literal["x86_64", "arm64"]:
    """Return the architecture of *instance_type*, such as m7g.large."""
    family = instance_type.partition(".")[0]
    if family == "a1":
        return "arm64"
    found = _FAMILY.fullmatch(family)
    return "arm64" if found is not None and "g" in (found[2] or "") else "x86_64"
