"""The operating system: private files and directories, open files, the log."""
