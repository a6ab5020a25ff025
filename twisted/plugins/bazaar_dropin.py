"""Names what this package adds to twistd, to C{bazaar-node --role} and to C{--via}. Names only."""

from twisted.application.service import ServiceMaker

from twisted_bazaar.plugin import DiscoveryPlugin, RolePlugin

tracker_daemon = ServiceMaker(
    "Bazaar tracker", "twisted_bazaar.taps.tracker", "The directory of a bazaar's nodes.", "bazaar-tracker"
)
node_daemon = ServiceMaker(
    "Bazaar node", "twisted_bazaar.taps.node", "A node of a bazaar, with any roles.", "bazaar-node"
)

buyer = RolePlugin("buyer", "twisted_bazaar.roles.buyer", "Searches for goods and buys them.")
index_server = RolePlugin(
    "index_server", "twisted_bazaar.roles.index_server", "Tells who has which files and who sells what."
)
relay = RolePlugin("relay", "twisted_bazaar.roles.relay", "Passes on what others send, and no more.")
ring_peer = RolePlugin("ring_peer", "twisted_bazaar.roles.ring_peer", "Keeps files and values in a ring, with others.")
seller = RolePlugin("seller", "twisted_bazaar.roles.seller", "Offers goods and sells them.")
sharer = RolePlugin("sharer", "twisted_bazaar.roles.sharer", "Shares the files of a folder, and fetches others.")
super_peer = RolePlugin(
    "super_peer", "twisted_bazaar.roles.super_peer", "Finds for weak peers who has what, with other super peers."
)
tracker = RolePlugin("tracker", "twisted_bazaar.roles.tracker", "Gives ids to nodes and names them to each other.")

flood = DiscoveryPlugin(
    "flood", "twisted_bazaar.roles.discovery.flood", "FloodMethod", "Asks everybody within reach, over neighbours."
)
index = DiscoveryPlugin(
    "index", "twisted_bazaar.roles.discovery.index", "IndexMethod", "Asks an index server, which lists it all."
)
ring = DiscoveryPlugin(
    "ring", "twisted_bazaar.roles.discovery.ring", "RingMethod", "Asks the members of a ring, each of which has a part."
)
superpeer = DiscoveryPlugin(
    "superpeer",
    "twisted_bazaar.roles.discovery.superpeer",
    "SuperPeerMethod",
    "Asks super peers, which ask each other.",
)
