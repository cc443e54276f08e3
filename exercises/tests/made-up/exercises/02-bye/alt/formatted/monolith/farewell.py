def bye(name):
    return f"bye {name}"
