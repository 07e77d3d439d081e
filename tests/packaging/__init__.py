"""What a user gets from pip: the wheel, where its files end up, and the shared library."""
