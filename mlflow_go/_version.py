"""The version: setup.py stamps it into the server and the library, everything else reads it here."""

__version__ = "0.1.0"
