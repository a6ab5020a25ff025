"""Names the phone book to C{--via}. Names only."""

from twisted_bazaar.plugin import DiscoveryPlugin

phonebook = DiscoveryPlugin(
    "phonebook", "bazaar_phonebook.method", "PhonebookMethod", "Asks everybody whose address stands in a file."
)
