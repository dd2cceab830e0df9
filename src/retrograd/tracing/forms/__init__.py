"""The formats of a trace: text, Markdown, LaTeX, JSON, pictures and a page."""
