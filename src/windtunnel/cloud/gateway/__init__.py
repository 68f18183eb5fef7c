"""AWS's protocols in and out: the only room that knows wire formats, PascalCase and error codes."""
