"""The tests of twisted_bazaar.

Those that try anything at all may take their time, on a machine that does something else besides, and keep nothing.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("patient", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
