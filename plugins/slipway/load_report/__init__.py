"""The report on a stress test: what AWS measured, and one page of HTML for people."""
