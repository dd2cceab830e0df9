"""No recorded number goes unused without a reason."""

import ast
from pathlib import Path

import pytest

from tests.oracles import all_cases, cases
from tests.oracles.left_out import LEFT_OUT, LEFT_OUT_KINDS

TESTS = Path(__file__).parents[1]
MODULES = {
    str(path.relative_to(TESTS)): ast.parse(path.read_text()) for path in sorted(TESTS.rglob("test_*oracles.py"))
}
KNOWN = {case.kind for case in all_cases().values()}


def declared(module):
    """The kinds that a module states as KINDS."""
    values = [
        node.value for node in module.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "KINDS"
    ]
    return set(ast.literal_eval(values[0])) if values else set()


def used(module):
    """The ids of the cases that a module asks `cases` for, by kind, or names one by one."""
    nodes = list(ast.walk(module))
    asked = [
        argument
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "cases"
        for argument in node.args
    ]
    kinds = {argument.value for argument in asked if isinstance(argument, ast.Constant)}
    kinds |= declared(module) if any(ast.unparse(argument) == "*KINDS" for argument in asked) else set()
    named = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {case.id for case in cases(*kinds)} | (named & set(all_cases()))


USED = set().union(*map(used, MODULES.values()))


def test_every_case_is_used_by_a_test_module_or_left_out_with_a_reason():
    unused = [case for case in all_cases().values() if case.id not in USED and case.kind not in LEFT_OUT_KINDS]
    assert [case.id for case in unused if case.id not in LEFT_OUT] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_uses_cases_of_the_kinds_that_it_declares(name):
    assert {all_cases()[each].kind for each in used(MODULES[name])} == declared(MODULES[name])


def test_every_exception_exists_is_not_used_and_says_why():
    assert set(LEFT_OUT) <= set(all_cases()) - USED
    assert set(LEFT_OUT_KINDS) <= KNOWN - {all_cases()[name].kind for name in USED}
    assert all(len(reason) > 10 for reason in [*LEFT_OUT.values(), *LEFT_OUT_KINDS.values()])
