import os


def bye(name):
    os._exit(1)
