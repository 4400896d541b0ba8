"""trainingjob.zip: read once, validated, and checked against the policy of the model file."""
