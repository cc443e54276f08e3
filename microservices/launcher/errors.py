"""What the launcher cannot do, each in one sentence for a person: the cause, and what to do next."""


class LauncherError(Exception):
    """The text is shown as it is, without a traceback."""


class AlreadyRunning(LauncherError):
    """Another launcher holds the topology of this home folder."""


class NotRunning(LauncherError):
    """No launcher answers for this home folder."""


class PortTaken(LauncherError):
    """Somebody else listens where the gateway should."""


class MissingProgram(LauncherError):
    """A program that is installed with the project is not there."""


class NotStarted(LauncherError):
    """A process ended, or was not ready in time, while it was being started."""


class WrongScale(LauncherError):
    """An unknown service, or a number of replicas that it cannot have."""
