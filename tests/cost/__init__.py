"""What a command costs, counted and not timed, so that CI can hold us to it on any machine."""
