"""The same shop as independent services behind a gateway, each with its own database."""
