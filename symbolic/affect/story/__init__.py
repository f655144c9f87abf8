"""Stories for music: plan, phrases, writers, choice, page."""
