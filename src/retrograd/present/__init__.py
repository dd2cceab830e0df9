"""How things are shown, in a terminal and on a page: width, numbers, tables, markup, colours."""
