"""The long-running mode, and who is told: the daemon, its page, its metrics, its notices."""
