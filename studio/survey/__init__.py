"""Listening surveys: blind clips from any runs, balanced orders, answers that are never lost, honest statistics."""
