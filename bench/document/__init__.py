"""The report: everything that was measured, as one HTML file."""
