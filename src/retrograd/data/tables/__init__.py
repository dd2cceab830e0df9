"""Tables: the role of each column, and how it becomes numbers."""
