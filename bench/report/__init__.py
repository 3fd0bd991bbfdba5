"""From stored results to tables and comparisons; reads, never runs."""
