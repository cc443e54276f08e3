def hello(name):
    return "hello ada"
