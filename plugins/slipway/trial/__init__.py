"""The A/B trial of a new model beside the live one."""
