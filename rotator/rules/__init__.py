"""What is decided, and by which rules: values in, values out. Nothing here asks, writes, waits or reads a clock."""
