"""From stored results to figures for one column of a paper, one module a kind; only `qualitative` may fit anything."""
