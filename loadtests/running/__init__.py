"""Carries out a plan: waits until the machine is calm, runs trial after trial, repeats void ones."""
