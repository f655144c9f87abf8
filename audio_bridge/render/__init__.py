"""Scores to sound with a SoundFont."""

from symbolic.callable_package import answer_calls_with

answer_calls_with(__name__, "audio_bridge.render.render:render")
