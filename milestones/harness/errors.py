"""The ways a run ends early.  `main` turns each into one line and an exit code."""


class UsageError(Exception):
    """The request cannot be carried out; the message says what to do.  Raised before any work."""


class NonFiniteLoss(Exception):
    """The training loss is no longer a number; going on would only cost time."""


class RehearsalFailed(Exception):
    """The rehearsal's resumed half went on differently from the uninterrupted one."""


class Stopped(Exception):
    """The run was asked to stop (SIGTERM, Ctrl-C) and has saved itself."""

    def __init__(self, message: str, signal: int):
        super().__init__(message)
        self.signal = signal
