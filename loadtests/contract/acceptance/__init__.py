"""The acceptance suite: what a shop promises to those outside it, tested over HTTP and nothing else.

It runs unchanged against the monolith, the microservices and every state in between, on a shop that is in use:
it brings its own customers and puts back the prices and stock that it changes.
"""
