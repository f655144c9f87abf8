"""From answers to a report: rows, exclusions, statistics, tables, charts and the page."""
