"""Where a controller comes from, and which of its versions a policy was written for."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Name the source of a policy.

    Attributes:
        policy: the page or file that the policy was checked against.
        version: version of the controller at that time.
        released: date of that version.
        minimum: oldest version of the controller that the policy and the chart values serve.
        because: what an older version lacks.
        chart: name of its Helm chart.
        repository: where `helm repo add` finds the chart.
        chart_version: version of the chart whose values are emitted.
    """

    policy: str
    version: str
    released: str
    minimum: str
    because: str
    chart: str
    repository: str
    chart_version: str
