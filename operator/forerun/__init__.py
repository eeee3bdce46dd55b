"""Forerun: capacity that arrives before the campaign does."""

__version__ = "0.1.0"
