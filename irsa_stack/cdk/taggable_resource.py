"""Resources by type name that `Tags.of` reaches; `aws_eks` would cost a slow import."""

from collections.abc import Mapping
from typing import Any

import jsii
from aws_cdk import CfnResource, ITaggable, TagManager, TagType
from constructs import Construct


@jsii.implements(ITaggable)
class TaggableResource(CfnResource):
    """Define a resource of a type that has `Tags`.

    Args:
        resource_type: such as `AWS::EKS::AccessEntry`.
        properties: as CloudFormation has them.

    See:
        https://docs.aws.amazon.com/cdk/api/v2/python/aws_cdk/ITaggable.html
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        resource_type: str,
        properties: Mapping[str, Any],
    ) -> None:
        super().__init__(scope, id, type=resource_type, properties=properties)
        self._tags = TagManager(TagType.KEY_VALUE, resource_type, tag_property_name="Tags")

    @property
    def tags(self) -> TagManager:
        """The tags, for the CDK."""
        return self._tags
