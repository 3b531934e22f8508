import pytest

from irsa_stack.kubernetes.binding_rules import binding_faults

APPLIED = {"restart": ["*"], "create_namespace": True, "labels": {"a": "b"}}


@pytest.mark.parametrize(
    ("ownership", "asked"),
    [
        ("CREATE", {**APPLIED, "annotations": {"a": "b"}}),
        ("ADOPT", {**APPLIED, "annotations": {"a": "b"}, "force": True}),
        ("HELM", {"annotations": {"a": "b"}}),
        ("NONE", {}),
        ("CREATE", {"restart": ["deployment/a", "daemonset/b.c", "statefulset/d-1"]}),
        ("CREATE", {"restart": ["deployment/${Token[TOKEN.7]}"]}),
    ],
)
def test_takes_what_can_be_done(ownership, asked):
    assert not list(binding_faults(ownership, **asked))


@pytest.mark.parametrize("ownership", ["HELM", "NONE"])
@pytest.mark.parametrize("asked", APPLIED)
def test_an_object_that_we_do_not_apply_takes(ownership, asked):
    [fault] = binding_faults(ownership, **{asked: APPLIED[asked]})
    assert fault.startswith(f"{asked} must go with CREATE or ADOPT, got {ownership}; ")


@pytest.mark.parametrize("ownership", ["CREATE", "HELM", "NONE"])
def test_force_is_for_objects_of_others(ownership):
    [fault] = binding_faults(ownership, force=True)
    assert fault == f"force must go with ADOPT, got {ownership}; remove it"


@pytest.mark.parametrize(
    "workload",
    ["api", "pod/api", "deployment/", "deployment/A", "deployments/a", "deployment/a\n", 7],
)
def test_refuses_to_restart(workload):
    [fault] = binding_faults("CREATE", restart=[workload])
    assert fault.startswith("restart must name workloads such as 'deployment/api'")
    assert repr(workload) in fault


def test_a_text_is_no_list_of_workloads():
    assert [*binding_faults("CREATE", restart="deployment/api")] == [
        "restart must be a list, got 'deployment/api'; put it in brackets"
    ]
