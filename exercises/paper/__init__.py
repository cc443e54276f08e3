"""What a teacher prints and projects: handouts and slides, made from the exercises' own files."""
