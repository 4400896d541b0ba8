"""trainingjob.zip: read once, checked, and held to the limits of the model file."""
