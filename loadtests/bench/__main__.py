"""`python -m loadtests.bench`: what a request costs, and how good the lab's instruments are."""

from loadtests.bench.cli import main

main()
