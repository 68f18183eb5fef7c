"""What every room may use: time, limits, errors, the home, processes; little is imported here."""
