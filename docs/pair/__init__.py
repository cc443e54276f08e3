"""A module's pair: the same part of the shop in the monolith and as a service, compared line by line."""
