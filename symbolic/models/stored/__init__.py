"""Models as files: a folder in Hugging Face's form, read without PyTorch and by it."""
