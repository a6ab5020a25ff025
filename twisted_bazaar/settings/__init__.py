"""Settings: values of options from defaults, a settings file, the environment, the command line."""
