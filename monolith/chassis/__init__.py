"""The technical library that every module stands on; it knows nothing of what the modules are about."""
