"""Long work as supervised processes: compilation jobs."""
