"""Shared by several tests of training."""

import pytest


class Clock:
    """A clock that a test advances."""

    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()
