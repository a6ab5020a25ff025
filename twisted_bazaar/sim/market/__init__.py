"""The scenario C{market}: sellers, buyers and relays that trade under a tracker."""
