"""A service that only says hello to other services: the callee of "our call" in the bench."""
