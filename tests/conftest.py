"""What holds for every test."""

import signal

# Whoever starts the tests in the background or under nohup has these ignored, and every program
# that a test starts and then interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
