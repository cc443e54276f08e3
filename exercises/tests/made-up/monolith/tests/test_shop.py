"""A shop's tests are never taken over."""
