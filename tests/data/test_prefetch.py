"""Work ahead: in order, bounded, with errors raised in their place."""

import threading
import time

import pytest

from retrograd.data.prefetch import ahead


def test_results_are_in_order_and_equal_those_of_a_plain_map():
    assert list(ahead(lambda i: i * i, range(20))) == [i * i for i in range(20)]
    assert list(ahead(str, [])) == []


def test_no_more_results_than_the_depth_are_computed_ahead():
    made = []
    results = ahead(lambda i: made.append(i) or i, range(50), depth=3)
    next(results)
    time.sleep(0.05)
    assert len(made) <= 4
    results.close()
    assert len(made) <= 5


def test_results_are_computed_on_another_thread_while_the_caller_works():
    names = list(ahead(lambda i: threading.current_thread().name, range(3)))
    assert all(name.startswith("prefetch") for name in names)


def test_an_error_is_raised_where_its_result_would_have_been():
    results = ahead(lambda i: 1 // (2 - i), range(5))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
