"""Plain results as text, tables, JSON, Markdown, CSV and HTML: the only place that lays out output."""
