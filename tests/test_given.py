"""What a person gives: a key, told apart without asking anybody, or a reason, which holds none; never repeated."""

from dataclasses import replace

import pytest

from rotator.rules.given import MOST_BYTES, Form, NoKey, fault_of_reason, read_given
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
    words = str(raised.value).removeprefix("that is no key: ")
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


class TestAReason:
    @pytest.mark.parametrize(
        ("reason", "says"),
        [
            ("", "is empty"),
            (" ", "is empty"),
            ("x" * 121, "has 121 characters; write at most 120"),
            ("x" * 1_000_000, "has 1,000,000 characters"),
            ("two\nlines", "a line break or another character"),
            ("\x1b[31mred", "a line break or another character"),
            ("a \u202eright-to-left", "a line break or another character"),
            ("a \udcff", "a line break or another character"),
        ],
    )
    def test_one_that_is_none(self, reason: str, says: str) -> None:
        assert says in (fault_of_reason(reason) or "")

    @pytest.mark.parametrize(
        "secret",
        [
            plaintext(7),
            "sk-" + "abcdefgh" * 5,  # a plaintext without a digit
            "sk-0007...0007",
            "sk-0007…",
            "sk-****0007",
            "hvs." + "a1" * 15,
        ],
    )
    @pytest.mark.parametrize(
        "around", ["{}", "it was {}", "key={}, in the wiki", "(“{}”)", "https://wiki/{}/x"]
    )
    def test_one_that_holds_what_looks_like_a_key(self, secret: str, around: str) -> None:
        fault = fault_of_reason(around.format(secret))
        assert fault == "holds what looks like a key or a token; leave that out"

    @pytest.mark.parametrize(
        "reason",
        [
            "the sale, ask Maria",
            "OPS-4711: see https://tickets.example.com/browse/OPS-4711?focus=3f9a2c7d01be42aa90",
            "wait...then ask #sk-office",
            "task-4711 fills disk-1234567890123456",
            "a key (sk-...) is in the wiki",
            "commit 3f9a2c7d01be42aa903f9a2c7d01be42aa90ffee",
        ],
    )
    def test_one_that_is_well(self, reason: str) -> None:
        assert fault_of_reason(reason) is None
