"""The commands, a file each: options are read, results are printed, an exit code is chosen."""
