"""Guards of the process: time-outs of reads, tracebacks and logs without secrets."""
