"""A finding is shown once: evidence does not repeat what the sentence says."""

import pytest

from retrograd.base.finding import Evidence, Finding


@pytest.mark.parametrize(
    ("message", "value", "named"),
    [
        ("only 2 units", 2, True),
        ("40% of the units are dead", 0.4, True),
        ("only 12,000 rows", 12000, True),
        ("the loss rose from 0.5 to 12.35", 12.4, False),
        ("the loss rose from 0.5 to 12.35", 12.35, True),
        ("the outputs hardly change with the inputs", 1e-7, False),
        ("no layer has a bias", 0, False),
    ],
)
def test_evidence_is_unsaid_unless_the_sentence_names_its_value(message, value, named):
    finding = Finding("name", "place", message, (Evidence("quantity", value, 5.0),))
    assert (finding.unsaid == ()) == named
    assert ("quantity" in str(finding)) == (not named)
