"""MusicGen-melody: checkpoints, exact chroma conditioning, adherence, data sets, fine-tuning."""
