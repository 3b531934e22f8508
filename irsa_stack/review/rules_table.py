"""The rules as a table for the docs: `python -m irsa_stack.review.rules_table`."""

from irsa_stack.review.rules import RULES


def rules_table() -> str:
    """Return the rules as a table in Markdown."""
    rows = [
        f"| `{rule_id}` | {rule.severity} | {rule.sentence} | {rule.fix} |"
        for rule_id, rule in RULES.items()
    ]
    return "\n".join(["| id | severity | asks that | if not |", "| --- | --- | --- | --- |", *rows])


if __name__ == "__main__":
    print(rules_table())  # noqa: T201 (its output)
