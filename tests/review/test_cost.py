"""What a review costs: `make bench` has the ratios to cdk-nag."""

import time

from irsa_stack.iam.trust import trust_policy
from irsa_stack.review.template import template_findings

ISSUER = "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"


def test_a_thousand_roles_take_less_than_a_second():
    template = {
        "Resources": {
            f"Role{number}": {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "AssumeRolePolicyDocument": trust_policy(
                        provider_arn=f"arn:aws:iam::111122223333:oidc-provider/{ISSUER}",
                        issuer=ISSUER,
                        service_accounts=[f"ns-{number}/account-{number}"],
                    )
                },
            }
            for number in range(1000)
        }
    }
    started = time.process_time()
    assert list(template_findings(template)) == []
    assert time.process_time() - started < 1
