"""What Slipway measures of its releases, by OpenTelemetry; nothing is imported or counted while that is off."""
