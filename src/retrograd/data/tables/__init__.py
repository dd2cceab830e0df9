"""Tables: what each column is for, and how it becomes numbers."""
