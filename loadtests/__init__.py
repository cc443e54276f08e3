"""Locust personas, acceptance and parity suites, and the lab that compares both shops over HTTP."""
