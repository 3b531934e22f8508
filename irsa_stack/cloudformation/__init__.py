"""CloudFormation: deploy-time values, Fn::Sub, what values can turn out to be."""
