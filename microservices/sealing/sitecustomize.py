"""Python imports this module before anything else, where `in_workspace` has put its folder on the search path."""

import _shop_twice_seal  # type: ignore[import-not-found]  # this folder is on the search path then

_shop_twice_seal.seal()
_shop_twice_seal.tell_what_was_loaded()
