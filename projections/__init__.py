"""What readers see: folds of the log. Imports ledger/, never api/."""
