"""What a Terraform plan says about access: planned values, and references where they are unknown.

See: https://developer.hashicorp.com/terraform/internals/json-format
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from irsa_stack.iam.trust import STS_AUDIENCE
from irsa_stack.kubernetes.identity import SUBJECT_PREFIX
from irsa_stack.review.facts import (
    ADD_ON,
    ANNOTATION,
    ASSOCIATION,
    AccessEntry,
    At,
    Binding,
    Document,
    Facts,
    Provider,
    Role,
    each_text,
)
from irsa_stack.review.sources.cloudformation import ADD_ON_ACCOUNTS, manifest_bindings
from irsa_stack.review.sources.documents import line_with, object_of
from irsa_stack.review.sources.reading import Source

_ISSUER = "${Token[plain.issuer.of.plan]}"
_DATA = "aws_iam_policy_document"
_ELEMENTS = {
    "actions": "Action", "not_actions": "NotAction", "resources": "Resource",
    "not_resources": "NotResource",
}  # fmt: skip


class PlanFacts:
    """Read the facts of one plan into a collection."""

    def __init__(self, source: Source, facts: Facts) -> None:
        self._source = source
        self._facts = facts
        plan = object_of(source.content)
        configuration = object_of(object_of(plan.get("configuration")).get("root_module"))
        self._expressions = dict(_configured(configuration, ""))
        self._resources: dict[str, Mapping[str, Any]] = {}
        for values in ("prior_state", "planned_values"):
            state = object_of(plan.get(values))
            root = object_of(object_of(state.get("values", state)).get("root_module"))
            self._resources |= {
                str(one.get("address")): one
                for one in _planned(root)
                if values == "planned_values" or one.get("mode") == "data"
            }
        for change in plan.get("resource_changes") or []:
            address = str(change.get("address"))
            after = object_of(change.get("change")).get("after")
            if isinstance(after, Mapping) and address not in self._resources:
                self._resources[address] = {**change, "values": after}
        self._roles: dict[str, Role] = {}

    def add(self) -> None:
        """Add all of them."""
        for address, values in self._of("aws_iam_role"):
            name = values.get("name")
            role = Role(
                id=address,
                name=name if isinstance(name, str) else address,
                has_name=isinstance(name, str),
                at=self._at(address),
                trust=self._document("trust policy", address, "assume_role_policy"),
                managed=self._texts(address, "managed_policy_arns"),
                boundary=self._text(address, "permissions_boundary"),
            )
            for one in values.get("inline_policy") or []:
                policy = object_of(one).get("policy")
                if policy is not None:
                    role.policies.append(_document(str(object_of(one).get("name")), policy))
            self._roles[address] = self._facts.roles[address] = role
        self._add_policies()
        self._add_eks()
        self._add_manifests()

    def _add_policies(self) -> None:
        known = {
            address: self._document(str(values.get("name") or address), address, "policy")
            for address, values in self._of("aws_iam_policy")
        }
        for address, values in self._of("aws_iam_role_policy"):
            role = self._role(address, "role")
            if role is not None:
                name = str(values.get("name") or address)
                role.policies.append(self._document(name, address, "policy"))
        for kind in ("aws_iam_role_policy_attachment", "aws_iam_policy_attachment"):
            for address, values in self._of(kind):
                role = self._role(address, "role")
                if role is None:
                    continue
                document = known.get(self._referenced(address, "policy_arn", "aws_iam_policy"))
                arn = values.get("policy_arn")
                if document is not None:
                    role.policies.append(document)
                else:
                    role.managed.append(str(arn or self._unknown(address, "policy_arn")))

    def _add_eks(self) -> None:
        for address, values in self._of("aws_iam_openid_connect_provider"):
            url = values.get("url")
            self._facts.providers.append(
                Provider(
                    issuer=str(url).removeprefix("https://")
                    if url
                    else self._unknown(address, "url").replace("plain.", "plain.issuer."),
                    client_ids=tuple(each_text(values.get("client_id_list") or [])),
                    cluster="",
                    at=self._at(address),
                )
            )
        for address, values in self._of("aws_eks_pod_identity_association"):
            account = f"{values.get('namespace')}/{values.get('service_account')}"
            target = values.get("target_role_arn")
            self._bind(account, ASSOCIATION, address, "role_arn", str(target or ""))
        for address, values in self._of("aws_eks_addon"):
            name = str(values.get("addon_name"))
            if values.get("service_account_role_arn") or self._references(
                address, "service_account_role_arn"
            ):
                account = ADD_ON_ACCOUNTS.get(name, f"(add-on)/{name}")
                self._bind(account, ADD_ON, address, "service_account_role_arn")
        for address, values in self._of("aws_eks_access_policy_association"):
            scope = object_of(next(iter(values.get("access_scope") or [{}]), {}))
            namespaces = ", ".join(each_text(scope.get("namespaces") or []))
            policy = str(values.get("policy_arn")).rpartition("/")[2]
            where = f"namespaces {namespaces}" if namespaces else "the whole cluster"
            self._entry(address, f"{policy} on {where}")
        for address, values in self._of("aws_eks_access_entry"):
            for group in each_text(values.get("kubernetes_groups") or []):
                self._entry(address, f"group {group}")

    def _entry(self, address: str, grant: str) -> None:
        role = self._role(address, "principal_arn")
        principal = self._text(address, "principal_arn") or self._unknown(address, "principal_arn")
        self._facts.access_entries.append(
            AccessEntry(
                principal=role.name if role else principal,
                cluster=self._text(address, "cluster_name") or "",
                grants=(grant,),
                at=self._at(address),
            )
        )

    def _add_manifests(self) -> None:
        for kind in ("kubernetes_service_account", "kubernetes_service_account_v1"):
            for address, values in self._of(kind):
                metadata = object_of(next(iter(values.get("metadata") or [{}]), {}))
                account = f"{metadata.get('namespace') or 'default'}/{metadata.get('name')}"
                self._facts.service_accounts.add(account)
                annotations = object_of(metadata.get("annotations"))
                given = annotations.get("eks.amazonaws.com/role-arn")
                if given or self._references(address, "metadata"):
                    self._bind(account, ANNOTATION, address, "metadata", given=given)
        for kind in ("kubernetes_manifest", "kubectl_manifest"):
            for address, values in self._of(kind):
                for account, arn in manifest_bindings(values.get("manifest")):
                    self._bind(account, ANNOTATION, address, "manifest", given=arn)

    def _bind(
        self,
        account: str,
        how: str,
        address: str,
        attribute: str,
        target: str = "",
        *,
        given: object = None,
    ) -> None:
        value = given or (
            None if attribute in ("metadata", "manifest") else self._text(address, attribute)
        )
        role = self._facts.role_of(str(value)) if value else self._role(address, attribute)
        if role is None and not value and attribute == "metadata":
            return
        namespace, _, name = account.partition("/")
        self._facts.bindings.append(
            Binding(
                namespace=namespace,
                name=name,
                how=how,
                role=role.id if role else str(value or self._unknown(address, attribute)),
                at=self._at(address),
                cluster=""
                if attribute == "metadata"
                else self._text(address, "cluster_name") or "",
                target=target,
            )
        )

    def _of(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for address, one in self._resources.items():
            if one.get("type") == kind and one.get("mode", "managed") == "managed":
                yield address, object_of(one.get("values"))

    def _values(self, address: str) -> Mapping[str, Any]:
        return object_of(object_of(self._resources.get(address)).get("values"))

    def _text(self, address: str, attribute: str) -> str | None:
        value = self._values(address).get(attribute)
        if isinstance(value, str) and value:
            return value
        return self._unknown(address, attribute) if self._references(address, attribute) else None

    def _texts(self, address: str, attribute: str) -> list[str]:
        return list(each_text(self._values(address).get(attribute) or []))

    def _references(self, address: str, attribute: str) -> list[str]:
        found: list[str] = []
        _collect(object_of(self._expressions.get(_unindexed(address))).get(attribute), found)
        return found

    def _referenced(self, address: str, attribute: str, kind: str) -> str:
        """Return the address of the first resource of *kind* that an attribute refers to."""
        module = address.rpartition(f".{_kind_of(address)}.")[0]
        prefix = f"{module}." if module else ""
        for reference in self._references(address, attribute):
            parts = reference.split(".")
            if parts[0] == kind and len(parts) > 1:
                candidates = [f"{prefix}{kind}.{parts[1]}"]
                index = (
                    address[len(address.rstrip("]").rpartition("[")[0]) :]
                    if address.endswith("]")
                    else ""
                )
                candidates.insert(0, candidates[0] + index)
                for candidate in candidates:
                    if candidate in self._resources:
                        return candidate
        return ""

    def _role(self, address: str, attribute: str) -> Role | None:
        value = self._values(address).get(attribute)
        if isinstance(value, str) and value:
            return self._facts.role_of(value)
        return self._roles.get(self._referenced(address, attribute, "aws_iam_role"))

    def _unknown(self, address: str, attribute: str) -> str:
        references = self._references(address, attribute)
        return f"${{Token[plain.{references[0] if references else f'{address}.{attribute}'}]}}"

    def _document(self, name: str, address: str, attribute: str) -> Document:
        value = self._values(address).get(attribute)
        if isinstance(value, str) and value:
            return _document(name, value)
        for reference in self._references(address, attribute):
            parts = reference.split(".")
            if parts[:2] and parts[0] == "data" and parts[1] == _DATA:
                module = address.rpartition(f".{_kind_of(address)}.")[0]
                data = ".".join(filter(None, [module, *parts[:3]]))
                return Document(name=name, outcomes=(self._data_document(data),))
        return Document(name=name, outcomes=(self._unknown(address, attribute),))

    def _data_document(self, address: str) -> Any:  # noqa: ANN401 (JSON)
        values = self._values(address)
        if isinstance(values.get("json"), str):
            return _document("", values["json"]).outcomes[0]
        statements = object_of(self._expressions.get(_unindexed(address))).get("statement")
        planned = values.get("statement") or []
        if not isinstance(statements, list):
            return f"${{Token[{address}]}}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                self._statement(one, object_of(planned[at] if at < len(planned) else {}))
                for at, one in enumerate(statements)
            ],
        }

    def _statement(self, expressions: Mapping[str, Any], planned: Mapping[str, Any]) -> Any:  # noqa: ANN401 (JSON)
        found: dict[str, Any] = {
            "Effect": planned.get("effect") or _said(expressions.get("effect")) or "Allow"
        }
        for name, element in _ELEMENTS.items():
            value = planned.get(name) or _said(expressions.get(name))
            if value:
                found[element] = value
        for name, element in (("principals", "Principal"), ("not_principals", "NotPrincipal")):
            for one, known in _blocks(expressions.get(name), planned.get(name)):
                kind = str(known.get("type") or _said(one.get("type")))
                listed = known.get("identifiers") or _said(one.get("identifiers"))
                if kind == "*":
                    found[element] = "*"
                else:
                    found.setdefault(element, {})[kind] = listed
        for one, known in _blocks(expressions.get("condition"), planned.get("condition")):
            test = str(known.get("test") or _said(one.get("test")))
            values = known.get("values") or _said(one.get("values"))
            variable = known.get("variable") or _said(one.get("variable"))
            variable = _claim_of(str(variable), values)
            if variable is None:
                found["Condition"] = f"${{Token[condition {one.get('variable')}]}}"
                break
            found.setdefault("Condition", {}).setdefault(test, {})[variable] = values
        return found

    def _at(self, address: str) -> At:
        return At(
            path=self._source.path,
            resource=address,
            line=line_with(self._source.text, f'"address": "{address}"')
            or line_with(self._source.text, f'"address":"{address}"'),
        )


def _claim_of(variable: str, values: object) -> str | None:
    """Return the key of a condition; one that only apply tells is known by its values."""
    if "${Token[" not in variable:
        return variable
    texts = each_text(values)
    if texts and all(text.startswith(SUBJECT_PREFIX) for text in texts):
        return f"{_ISSUER}:sub"
    return f"{_ISSUER}:aud" if STS_AUDIENCE in texts else None


def _blocks(
    expressions: object, planned: object
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    configured = expressions if isinstance(expressions, list) else []
    known = planned if isinstance(planned, list) else []
    for at in range(max(len(configured), len(known))):
        yield (
            object_of(configured[at] if at < len(configured) else {}),
            object_of(known[at] if at < len(known) else {}),
        )


def _said(expression: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return a constant, or what refers to other resources as a deploy-time value."""
    one = object_of(expression)
    if "constant_value" in one:
        return one["constant_value"]
    references = one.get("references")
    return f"${{Token[{references[0]}]}}" if references else None


def _collect(expression: Any, found: list[str]) -> None:  # noqa: ANN401 (JSON)
    if isinstance(expression, list):
        for one in expression:
            _collect(one, found)
    elif isinstance(expression, Mapping):
        for key, one in expression.items():
            if key == "references":
                found += each_text(one)
            else:
                _collect(one, found)


def _configured(module: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for resource in module.get("resources") or []:
        yield prefix + str(resource.get("address")), object_of(resource.get("expressions"))
    for name, call in object_of(module.get("module_calls")).items():
        yield from _configured(object_of(call.get("module")), f"{prefix}module.{name}.")


def _planned(module: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from module.get("resources") or []
    for child in module.get("child_modules") or []:
        yield from _planned(object_of(child))


def _unindexed(address: str) -> str:
    out, depth = "", 0
    for one in address:
        depth += one == "["
        if not depth:
            out += one
        depth -= one == "]"
    return out


def _kind_of(address: str) -> str:
    parts = _unindexed(address).split(".")
    return parts[-2] if len(parts) > 1 else ""


def _document(name: str, value: object) -> Document:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = f"${{Token[{name}]}}"
    return Document(name=name, outcomes=(value,))
