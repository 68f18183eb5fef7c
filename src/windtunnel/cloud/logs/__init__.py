"""CloudWatch Logs: what instances wrote, and what clients put beside it."""
