"""What is said of a string, by what was seen of it: one row for each that a person may meet at night."""

import pytest

from rotator.rules.given import Form
from rotator.rules.identify import Identified, Stored, Verdict
from rotator.rules.model import Key
from rotator.rules.whose import Owned, Whose
from tests.facts import at, key, managed

LIVE, DEAD, UNLISTED = key(7), key(7, status="revoked"), None
"""As the list shows it."""
NO_KEY: list[Key | None] = []


@pytest.mark.parametrize(
    ("form", "keys", "stored", "works", "verdict"),
    [
        (Form.PLAINTEXT, [LIVE], True, True, Verdict.ALIVE),
        (Form.PLAINTEXT, [DEAD], True, True, Verdict.ALIVE),
        (Form.PLAINTEXT, NO_KEY, False, True, Verdict.ALIVE),
        (Form.PLAINTEXT, [DEAD], True, False, Verdict.DEAD),
        (Form.PLAINTEXT, NO_KEY, True, False, Verdict.DEAD),
        (Form.PLAINTEXT, [UNLISTED], True, False, Verdict.DEAD),
        (Form.PLAINTEXT, [LIVE], True, False, Verdict.UNKNOWN),
        (Form.PLAINTEXT, [DEAD], True, None, Verdict.UNKNOWN),
        (Form.PLAINTEXT, NO_KEY, False, False, Verdict.UNKNOWN),
        (Form.PREVIEW, [DEAD, LIVE], False, None, Verdict.ALIVE),
        (Form.PREVIEW, [DEAD, DEAD], False, None, Verdict.DEAD),
        (Form.KEY_ID, [DEAD], False, None, Verdict.DEAD),
        (Form.KEY_ID, [UNLISTED], False, None, Verdict.UNKNOWN),
        (Form.KEY_ID, NO_KEY, False, None, Verdict.UNKNOWN),
    ],
)
def test_dead_takes_two_witnesses_of_a_plaintext(
    form: Form, keys: list[Key | None], stored: bool, works: bool | None, verdict: Verdict
) -> None:
    found = Identified(
        form=form,
        now=at(0),
        keys=tuple(Owned(7, one, Whose.UNMANAGED) for one in keys),
        stored=(Stored(managed(), 1, 1, 7),) if stored else (),
        works=works,
        request_id=None,
        untold=None,
        unread={},
    )
    assert (found.verdict, found.dead) == (verdict, verdict is Verdict.DEAD)
