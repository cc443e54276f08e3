"""Errors of the launcher. Each text is one sentence for people: the cause and the next step."""


class LauncherError(Exception):
    """Shown without a traceback."""


class AlreadyRunning(LauncherError):
    """Another launcher runs this topology from the same home folder."""


class NotRunning(LauncherError):
    """No launcher answers for this home folder."""


class PortTaken(LauncherError):
    """Another program listens on the gateway's port."""


class MissingProgram(LauncherError):
    """A program that the project installs is missing."""


class NotStarted(LauncherError):
    """A process ended while it was started, or was not ready in time."""


class WrongScale(LauncherError):
    """An unknown service, or a number of replicas that it cannot have."""
