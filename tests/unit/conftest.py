"""How properties are tried: untimed, as the machine may be busy, and a failure prints how to try it again."""

from hypothesis import HealthCheck, settings

settings.register_profile("firmhold", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("firmhold")
