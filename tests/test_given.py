"""What a person may hold: told apart without asking anybody, and never repeated where it is no key."""

from dataclasses import replace

import pytest

from rotator.rules.given import MOST_BYTES, Form, NoKey, read_given
from tests.facts import key, plaintext

LISTED = key(7)
"""Its preview is `sk-0007...0007`."""


@pytest.mark.parametrize(
    ("raw", "form"),
    [
        (b"13", Form.KEY_ID),
        (b"#13\n", Form.KEY_ID),
        (b"sk-0007...0007", Form.PREVIEW),
        (b"sk-0007****0007\r\n", Form.PREVIEW),
        ("sk-0007…".encode(), Form.PREVIEW),
        ("•••••0007".encode(), Form.PREVIEW),
        (plaintext(7).encode(), Form.PLAINTEXT),
        (b"\xef\xbb\xbf  " + plaintext(7).encode() + b" \n\n", Form.PLAINTEXT),
    ],
)
def test_what_it_is(raw: bytes, form: Form) -> None:
    assert read_given(raw).form is form


NONE = {
    "nothing": b"",
    "white space": b" \n\t\n",
    "a word": b"password",
    "a sentence": b"the key that was found in the public repository",
    "binary": bytes(range(256)),
    "zeros": b"sk-\x00" + b"\x00" * 40,
    "long": b"sk-" + b"a" * 1_000_000,
    "just too long": b"a" * (MOST_BYTES + 1),
    "two lines": f"{plaintext(7)}\n{plaintext(8)}\n".encode(),
    "two words": f"{plaintext(7)} {plaintext(8)}".encode(),
    "a preview of nothing": b"sk-...",
    "a preview of too little": b"sk-00...7",
    "an id that is none": b"99999999999999999999",
    "a negative one": b"-13",
    "letters of another script": "sk-кирилица-кирилица-кирилица".encode(),
}


@pytest.mark.parametrize("what", NONE)
def test_what_is_no_key_is_not_repeated(what: str) -> None:
    with pytest.raises(NoKey) as raised:
        read_given(NONE[what])
    words = str(raised.value)
    for word in NONE[what].decode(errors="ignore").split():
        assert word not in words or len(word) < 4


class TestPreviews:
    @pytest.mark.parametrize(
        ("preview", "fits"),
        [
            (b"sk-0007...0007", True),
            (b"sk-0007****0007", True),
            (b"sk-00070000000***00000007", True),  # it shows more than the gateway's list
            (b"sk-000...007", True),  # it shows less
            (b"...0007", True),
            (b"sk-0007...", True),
            (b"sk-0008...0007", False),
            (b"sk-0007...0008", False),
        ],
    )
    def test_of_any_mask(self, preview: bytes, fits: bool) -> None:
        given = read_given(preview)
        assert given.fits(LISTED) is fits
        assert given.fits_text(plaintext(7)) is fits

    def test_one_that_the_list_masks_otherwise(self) -> None:
        assert read_given(b"sk-0007...0007").fits(replace(LISTED, preview="sk-0…007"))
        assert not read_given(b"sk-0007...0007").fits(replace(LISTED, preview="no mask"))


def test_a_plaintext_fits_itself_alone() -> None:
    given = read_given(plaintext(7).encode())
    assert given.fits(LISTED)
    assert not given.fits(key(8))
    assert (given.fits_text(plaintext(7)), given.fits_text(plaintext(8))) == (True, False)
    assert plaintext(7)[10:30] not in repr(given)


def test_another_servers_secret_is_known_as_such() -> None:
    assert read_given(plaintext(7).encode()).is_of_the_gateway
    assert not read_given(b"hvs." + b"a" * 24).is_of_the_gateway
