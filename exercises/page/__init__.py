"""The workshop's page: text, tasks, differences, hints and results of one workspace in a browser, on loopback.

It shows what the workspace's files say, and its buttons start the commands that a person would type. So the page and a
terminal can be used at the same time. This is the only package here that may import Flask.
"""
