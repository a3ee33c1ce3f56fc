"""The book handed on: notebooks, PDF, wheel, server."""
