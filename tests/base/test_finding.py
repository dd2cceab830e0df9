"""A finding is said once: its message is written from its values, and evidence does not repeat what it says."""

import numpy as np
import pytest

from retrograd.base.finding import Evidence, Finding


@pytest.mark.parametrize(
    ("form", "values", "evidence", "stated"),
    [
        ("only {units} units", {"units": 2}, 2, True),
        ("{share:.0%} of the units are dead", {"share": np.float64(1 / 3)}, 1 / 3, True),
        ("only {rows:,} rows", {"rows": np.int64(12000)}, 12000.0, True),
        ("the loss rose from {first:.4g} to {last:.4g}", {"first": 0.5, "last": 12.35}, 24.7, False),
        ("only {layers} layers", {"layers": "2"}, 2, False),
        ("the outputs hardly change with the inputs", {}, 1e-7, False),
    ],
)
def test_evidence_is_unsaid_unless_the_message_has_its_value(form, values, evidence, stated):
    finding = Finding.of("name", "place", form, values, (Evidence("quantity", evidence, 5.0),))
    assert (finding.unsaid == ()) == stated
    assert ("quantity" in str(finding)) == (not stated)


def test_a_message_is_its_form_with_its_values_which_are_plain_types():
    finding = Finding.of("name", "place", "{share:.0%} of {rows:,} rows", {"share": np.float32(0.5), "rows": 1000})
    assert finding.message == "50% of 1,000 rows"
    assert [type(value) for value in finding.plain()["values"].values()] == [float, int]


def test_braces_in_a_message_without_values_stay():
    assert Finding.of("name", "", "write {dense: 3}", {}).message == "write {dense: 3}"
