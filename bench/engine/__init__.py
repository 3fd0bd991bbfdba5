"""From names to stored results: data sets, cells, fingerprints, the store, running."""
