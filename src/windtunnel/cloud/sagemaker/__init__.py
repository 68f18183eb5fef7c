"""What should exist: models, endpoint configs, endpoints, tags, and their lifecycles."""
