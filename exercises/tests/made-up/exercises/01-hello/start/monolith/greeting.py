def hello(name):
    return "hello"
