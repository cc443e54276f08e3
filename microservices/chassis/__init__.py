"""The technical library that every service stands on; it knows nothing of what the services are about."""
