"""The console's pages, by what they show."""
