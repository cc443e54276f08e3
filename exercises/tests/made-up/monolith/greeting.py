def hello(name):
    return "what?"
