"""Music for stories: plan, candidates of our models, joined sections, round trip."""
