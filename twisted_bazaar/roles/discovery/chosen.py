"""The way to find that options ask for, and those of its options that do not go with it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted_bazaar.errors import UsageError
from twisted_bazaar.plugin import find_method, loaded_methods, options_of_roles
from twisted_bazaar.roles.discovery.flood import FloodMethod
from twisted_bazaar.roles.discovery.method import DiscoveryContext, DiscoveryMethod
from twisted_bazaar.settings.option import OptionValues


def method_named(name: str) -> type[DiscoveryMethod]:
    """The class of a way to find.

    @raise UsageError: there is none of this name.
    """
    method: type[DiscoveryMethod] = find_method(name).load()
    return method


def chosen_method(options: OptionValues, context: DiscoveryContext) -> DiscoveryMethod:
    """The way to find that options ask for.

    A way that a file says is for those who ask; those whom they ask may share the file, and then find by flooding.

    @raise UsageError: there is none of this name, or other options do not go with it.
    """
    method = method_named(options["via"])
    if method.asked is not None and list(context.roles) == [method.asked.role] and not options.is_typed("via"):
        method = FloodMethod
    refuse_others(options, method, context.roles)
    return method.from_options(options, context)


def refuse_others(options: OptionValues, method: type[DiscoveryMethod], roles: Sequence[str] | None = None) -> None:
    """See that no option is typed that goes with another way; what a file says is for several programs.

    @param roles: the names of a daemon's roles, which may have options of the same name; None for a command.
    @raise UsageError: one is.
    """
    own = {option.name for option in method.options}
    owners: dict[str, set[str]] = {}
    if roles is not None:
        owners = {role: {option.name for option in added or ()} for role, added in options_of_roles().items()}
        own.update(*(owners.get(role, ()) for role in roles))
    for other in loaded_methods():
        for option in other.options:
            if option.name in own or not options.is_typed(option.name):
                continue
            with_role = [f" or --role {role}" for role, names in owners.items() if option.name in names]
            what = "one of them" if with_role else "that"
            raise UsageError(
                f"--{option.name} goes with --via {other.name}{''.join(with_role)}: add {what}, or leave out "
                f"--{option.name}"
            )
    if method.asked is None:
        return
    for name, is_needless in (("tracker", method.gives_ids), ("min-links", True)):
        if is_needless and options.is_typed(name):
            raise UsageError(f"--{name} goes with --via flood: who asks {method.asked.whole} needs none; leave it out")
