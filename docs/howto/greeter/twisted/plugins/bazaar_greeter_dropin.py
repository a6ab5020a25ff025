"""Names the greeter to C{bazaar-node --role}. Names only."""

from twisted_bazaar.plugin import RolePlugin

greeter = RolePlugin("greeter", "bazaar_greeter.role", "Says hello to each node that is newly linked.")
