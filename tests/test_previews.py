import pytest

from rotator.rules.model import Key
from rotator.rules.previews import Previews, matches_preview
from tests.facts import DAY as DAY
from tests.facts import at, key, plaintext


@pytest.mark.parametrize(
    ("preview", "fits"),
    [
        ("sk-0002...0002", True),
        ("sk-0002…0002", True),
        ("sk-0002********0002", True),
        ("sk-0003...0002", False),
        ("sk-0002...0003", False),
        (plaintext(2)[:25] + "..." + plaintext(2)[25:], False),
        ("sk-0...0002", True),
        ("sk-...0002", None),
        ("...", None),
        ("sk-...002", None),
        ("sk-0002", None),
        ("", None),
    ],
)
def test_previews(preview: str, fits: bool | None) -> None:
    assert matches_preview(Key(2, "", "created", DAY, preview), plaintext(2)) is fits


def test_previews_of_the_contract_tell_keys_apart() -> None:
    assert matches_preview(key(2), plaintext(2))
    assert matches_preview(key(3), plaintext(2)) is False


def test_live_keys_are_looked_up_by_whatever_their_previews_tell() -> None:
    long = Key(4, "", "created", at(0), plaintext(4)[:12] + "..." + plaintext(4)[-8:])
    opaque = Key(5, "", "created", at(0), "...")
    previews = Previews([key(2), key(3, status="revoked"), long, opaque])
    assert previews.matching(plaintext(2)) == [key(2)]
    assert previews.matching(plaintext(3)) == []
    assert previews.matching(plaintext(4)) == [long]
    assert previews.matching("sk-0002") == []


def test_two_keys_may_share_a_preview() -> None:
    twin = Key(7, "", "created", at(0), key(2).preview)
    assert list(Previews([key(2), twin]).matching(plaintext(2))) == [key(2), twin]
