"""Writing lyrics that keep a form, by a phrase grammar or a language model."""
