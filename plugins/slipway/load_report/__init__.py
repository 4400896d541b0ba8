"""The report on a stress test: evidence gathered from AWS, and one page of HTML for people."""
