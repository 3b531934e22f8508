"""What each controller may do: IAM policy documents as plain data, without the CDK.

Written for this library after reading each controller's calls to AWS; `UPSTREAM` of every module
names the document that it was checked against. Strings may hold deploy-time values.
"""
