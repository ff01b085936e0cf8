"""Guards of the process: time-outs of reads, forks, tracebacks and logs without secrets."""
