"""Work on a given tune: continue, infill, vary, transpose, harmonise."""
