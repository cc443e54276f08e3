"""Carries out a plan: waits for a calm machine, runs trial after trial, repeats what is void."""
