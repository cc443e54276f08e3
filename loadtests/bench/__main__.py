"""`python -m loadtests.bench`: what a request costs, and what the lab's instruments are worth."""

from loadtests.bench.endpoints import main

main()
