"""Sound as arrays: files, loudness, chroma, segmentation, stems."""
