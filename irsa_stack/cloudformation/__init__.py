"""CloudFormation as it is: what values can turn out to be."""
