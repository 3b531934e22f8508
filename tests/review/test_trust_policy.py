import pytest

from irsa_stack.review.template import template_findings
from tests.support.generated_policies import ACCOUNT
from tests.support.trust_policies import CASES


@pytest.mark.parametrize(("case", "template"), CASES, ids=[name for name, _ in CASES])
def test_each_case_is_judged_right(case, template):
    found = [one for one in template_findings(template, account=ACCOUNT) if not one.is_remark]
    severities = {one.severity for one in found}
    expected = {
        "ok": not found,
        "open": bool(severities & {"high", "critical"}),
        "dead": severities == {"medium"} and "IRSA901" not in {one.id for one in found},
        "blind": {one.id for one in found} == {"IRSA901"},
    }
    assert expected[case.split()[0]], found
