"""No recorded number goes unused without a reason."""

import importlib
from pathlib import Path

import pytest

from tests.oracles import all_cases, cases
from tests.oracles.left_out import LEFT_OUT, LEFT_OUT_KINDS

ROOT = Path(__file__).parents[2]
MODULES = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*oracles.py"))
DECLARED = {path: importlib.import_module(".".join(path.with_suffix("").parts)).KINDS for path in MODULES}
KNOWN = {case.kind for case in all_cases().values()}


def test_every_case_is_of_a_kind_that_a_test_module_declares_or_is_left_out_with_a_reason():
    used = {kind for kinds in DECLARED.values() for kind in kinds}
    unused = [case.id for case in all_cases().values() if case.kind not in used | set(LEFT_OUT_KINDS)]
    assert [name for name in unused if name not in LEFT_OUT] == []


def test_no_kind_is_both_used_and_left_out():
    assert {kind for kinds in DECLARED.values() for kind in kinds} & set(LEFT_OUT_KINDS) == set()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_reads_the_cases_of_each_kind_that_it_declares(module):
    text = (ROOT / module).read_text()
    assert set(DECLARED[module]) <= KNOWN
    for kind in DECLARED[module]:
        assert cases(kind), f"every case of {kind} is left out: leave the kind out"
        assert f'cases("{kind}"' in text or "cases(*KINDS)" in text or f'"{kind}")' in text, f"{kind} is declared, not read"


def test_what_is_left_out_exists_and_says_why():
    assert set(LEFT_OUT) <= set(all_cases())
    assert set(LEFT_OUT_KINDS) <= KNOWN
    assert all(len(reason) > 10 for reason in [*LEFT_OUT.values(), *LEFT_OUT_KINDS.values()])
