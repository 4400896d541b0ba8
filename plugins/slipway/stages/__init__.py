"""How releases of one model meet: one at a time in an environment, in their order."""
