"""Runs a topology as plain processes on this machine. The lab and the commands need only `Fleet`."""

from microservices.chassis.config import sqlite_url
from microservices.launcher.errors import (
    AlreadyRunning,
    LauncherError,
    MissingProgram,
    NotRunning,
    NotStarted,
    PortTaken,
    WrongScale,
)
from microservices.launcher.fleet import Fleet
from microservices.launcher.folder import RunFolder, default_home
from microservices.launcher.replica import Death, Phase, Replica
from microservices.topology import MONOLITH, SPLIT

__all__ = [
    "MONOLITH",
    "SPLIT",
    "AlreadyRunning",
    "Death",
    "Fleet",
    "LauncherError",
    "MissingProgram",
    "NotRunning",
    "NotStarted",
    "Phase",
    "PortTaken",
    "Replica",
    "RunFolder",
    "WrongScale",
    "default_home",
    "sqlite_url",
]
