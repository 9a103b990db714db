"""The page of the peers' names is what its program writes, and hardly a name is left out."""

import pytest

from tests.docs import peer_names


@pytest.mark.filterwarnings("ignore::loopjax.compat.notes.CompatNote")
def test_the_page_is_up_to_date():
    assert peer_names.PAGE.read_text() == peer_names.page()


@pytest.mark.parametrize("library", peer_names.NAMES)
def test_at_least_97_of_100_names_are_provided(library):
    wanted = sum(len(names.split()) for names in peer_names.NAMES[library].values())
    found = sum(len(peer_names.provided(library, module)) for module in peer_names.NAMES[library])
    assert found >= 0.97 * wanted
