"""The name plate: the command line, the settings and the local stack. It must not know how anything is decided."""
