"""The decoding engine: batches, sampling, rejection, the native step and CUDA graphs."""
