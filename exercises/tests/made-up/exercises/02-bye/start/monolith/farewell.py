def bye(name):
    return "see you"
