"""Where the value of an option comes from: defaults, a settings file, the environment, the command line."""
