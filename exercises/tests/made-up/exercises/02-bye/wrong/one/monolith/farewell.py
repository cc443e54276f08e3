def bye(name):
    return "bye"
