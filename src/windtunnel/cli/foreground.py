"""Runs one command in the foreground, as if this process were not there.

The command shares the terminal and the process group, so what the terminal sends (Ctrl-C, Ctrl-Z, a
new size) reaches it by itself; what is sent to this process alone is passed on. This process stays
until the command ended, whatever it is sent: something has to be put away behind it.
"""

import os
import shutil
import signal
from collections.abc import Mapping

# Passed on to the command. Those that stop and continue keep their meaning for both.
_PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
# What Python ignores for itself, and no program should inherit so (subprocess, restore_signals).
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def run_in_foreground(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end; return its exit status, 128 + N where signal N ended it."""
    # Blocked signals wait until `sigwaitinfo` asks for them: none is lost, no handler is needed.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, signal.SIGCHLD))
    try:
        command = os.posix_spawnp(
            # Found on the PATH that the command itself gets.
            shutil.which(arguments[0], path=environment.get("PATH")) or arguments[0],
            arguments,
            environment,
            setsigmask=before,
            setsigdef=_IGNORED_BY_PYTHON,
        )
        while True:
            number, is_for_us_alone = _next_signal()
            if number == signal.SIGCHLD:
                ended, status = os.waitpid(command, os.WNOHANG)
                if ended:
                    code = os.waitstatus_to_exitcode(status)
                    return code if code >= 0 else 128 - code
            elif is_for_us_alone:
                os.kill(command, number)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _next_signal() -> tuple[int, bool]:
    """Return the next signal, and whether it was sent to this process and not to the terminal's."""
    watched = (*_PASSED_ON, signal.SIGCHLD)
    if not hasattr(signal, "sigwaitinfo"):
        # macOS does not tell who sent it; these two are nearly always the terminal.
        number = signal.sigwait(watched)
        return number, number not in (signal.SIGINT, signal.SIGQUIT)
    info = signal.sigwaitinfo(watched)
    # Positive codes are the kernel's own, here the terminal's (sigaction(2), SI_KERNEL).
    return info.si_signo, info.si_code <= 0
