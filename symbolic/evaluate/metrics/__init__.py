"""The measures: pure functions of tunes or arrays, one file a measure."""
