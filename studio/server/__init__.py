"""The web server: application, security, routes."""
