"""The page for those who come from elsewhere: its names are understood, and its example is a configuration."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from retrograd.base.schema import parse
from retrograd.base.synonyms import same_thing
from retrograd.training.config.config import RunConfig

PAGE = Path(__file__).parents[2] / "docs" / "coming-from.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no documents beside the installed package")


def test_every_synonym_on_the_page_leads_to_the_name_beside_it():
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.M)
    assert len(rows) > 50
    for name, words in rows:
        for word in words.replace("`", "").split(", "):
            assert same_thing(word, [name]) == name


def test_its_configuration_can_be_read():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert parse(RunConfig, YAML(typ="safe").load(text)).training.batch_size == 32
