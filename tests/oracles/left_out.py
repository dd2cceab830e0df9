"""Every oracle case that no test uses, with the reason. `tests/oracles/test_complete.py` holds it to that."""

LEFT_OUT: dict[str, str] = {}

# kinds of layers and losses that retrograd does not have (yet)
LEFT_OUT_KINDS: dict[str, str] = {}
