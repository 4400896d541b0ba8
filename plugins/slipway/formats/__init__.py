"""How texts, numbers and versions are written where Slipway stores them or hands them on."""
