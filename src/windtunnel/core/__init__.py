"""What every room may use: time, limits, errors, the home, processes. Standard library and psutil only."""
