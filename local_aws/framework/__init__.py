"""What every added service is made of: checked operations, resource types, durable documents."""
