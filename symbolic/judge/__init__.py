"""Language models as judges of tunes, and the calibration that says whether to believe one."""
