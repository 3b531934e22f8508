import pytest

from irsa_stack.controllers import EfsCsiNode
from irsa_stack.faults import InvalidInput
from tests.support.controllers import OTHER_ACCOUNT, arn, documents
from tests.support.iam_evaluator import Resource, allowed

FILES = arn("elasticfilesystem", "file-system/fs-0a1b")
SPECS = {
    "writes": lambda location: EfsCsiNode(
        file_systems=[location.arn("elasticfilesystem", "file-system/fs-0a1b")]
    ),
    "reads": lambda location: EfsCsiNode(
        file_systems=[location.arn("elasticfilesystem", "file-system/fs-0a1b")], read_only=True
    ),
}


def mounted(files, via="true"):
    return Resource(files, {"elasticfilesystem:AccessedViaMountTarget": via})


@pytest.mark.parametrize(
    ("action", "resource", "writes", "reads"),
    [
        ("ClientMount", mounted(FILES), True, True),
        ("ClientWrite", mounted(FILES), True, False),
        ("ClientMount", mounted(FILES, "false"), False, False),
        ("ClientMount", FILES, False, False),
        ("ClientRootAccess", mounted(FILES), False, False),
        ("ClientMount", mounted(FILES.replace("fs-0a1b", "fs-9f9f")), False, False),
        ("ClientWrite", mounted(FILES.replace("fs-0a1b", "fs-9f9f")), False, False),
        ("ClientMount", mounted(FILES.replace("1111", "4444")), False, False),
        (
            "ClientMount",
            mounted(arn("elasticfilesystem", "file-system/fs-0a1b", account=OTHER_ACCOUNT)),
            False,
            False,
        ),
        ("ClientMount", mounted(FILES.replace("eu-west-1", "us-east-1")), False, False),
        ("CreateAccessPoint", FILES, False, False),
        ("DeleteAccessPoint", arn("elasticfilesystem", "access-point/a"), False, False),
        ("DescribeFileSystems", FILES, False, False),
        ("DeleteFileSystem", FILES, False, False),
        ("PutFileSystemPolicy", FILES, False, False),
    ],
)
def test_mounts_what_is_named_and_no_other(action, resource, writes, reads):
    call = f"elasticfilesystem:{action}"
    assert allowed(documents(EfsCsiNode(file_systems=[FILES])), call, resource) is writes
    held = documents(EfsCsiNode(file_systems=[FILES], read_only=True))
    assert allowed(held, call, resource) is reads


@pytest.mark.parametrize("wrong", [[], ["*"], ["fs-0a1b"], FILES])
def test_refuses_a_scope_that_is_none(wrong):
    with pytest.raises(InvalidInput, match="file_systems must"):
        EfsCsiNode(file_systems=wrong)


UPSTREAM = """
    elasticfilesystem:ClientMount elasticfilesystem:ClientRootAccess elasticfilesystem:ClientWrite
"""
LEFT_OUT = {"elasticfilesystem:ClientRootAccess": "is root; add it where it is used"}
