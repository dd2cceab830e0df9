"""The studio: a local web page to create, watch, inspect and repair runs."""
