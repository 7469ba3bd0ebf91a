"""Central: the reference receiver, FastAPI over one embedded SQLite file."""
