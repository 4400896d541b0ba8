"""How an upload becomes a run: it is noticed, pinned to one object version, and claimed by the run."""
