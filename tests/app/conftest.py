"""Compiled programs are kept in a folder of these tests, as the command line keeps them in the user's."""

import pytest


@pytest.fixture(scope="module", autouse=True)
def kept(compiled_once):
    """Keep them for every module here."""
