"""What a process asks of the operating system: private files and directories, open files, its log."""
