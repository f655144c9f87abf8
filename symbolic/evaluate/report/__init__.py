"""What evaluate shows: tables, charts and the page."""
