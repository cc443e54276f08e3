def bye(name):
    return "bye " + name
