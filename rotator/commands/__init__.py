"""What each command does once its options are read: config in, something printed, exit code out."""
