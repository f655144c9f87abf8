"""Ridge regression, grouped folds, training and evaluation on rated data."""
