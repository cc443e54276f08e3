GREETINGS = 1


def hello(name):
    return "hello " + name
