"""Presentation in a terminal and on a page: width, numbers, tables, markup, colours."""
