"""From stored results to figures for one column of a paper; reads, never trains.  One module a kind."""
