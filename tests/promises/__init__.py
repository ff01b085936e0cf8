"""The promises as a whole: sudden death, cancellation, crowds, hostile and real sellers, SDKs, secrets, logs."""
