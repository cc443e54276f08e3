def hello(name):
    return "hello " + name


print("hello")
