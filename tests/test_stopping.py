"""A request to stop: at once, except between the creation of a key and the end of storing it."""

from threading import Thread

import pytest

from rotator.passes.stopping import NotReached, Stopped, Stopping


def test_nothing_is_stopped_unless_asked() -> None:
    stopping = Stopping()
    stopping.check()
    stopping.sleep(0)
    assert not stopping.requested


def test_a_request_ends_every_wait_and_keeps_from_beginning() -> None:
    stopping = Stopping()
    stopping.request()
    with pytest.raises(Stopped, match=r"^stopped before it began$"):
        stopping.check()
    with pytest.raises(Stopped):
        stopping.sleep(0)


def test_a_committed_stretch_waits_on_and_ends_with_its_block() -> None:
    stopping = Stopping()
    stopping.request()
    with stopping.committed():
        stopping.sleep(0)
    with pytest.raises(Stopped):
        stopping.sleep(0)
    with pytest.raises(ZeroDivisionError), stopping.committed():
        raise ZeroDivisionError
    with pytest.raises(Stopped):
        stopping.sleep(0)


def test_a_committed_stretch_within_another_does_not_end_it() -> None:
    stopping = Stopping()
    stopping.request()
    with stopping.committed():
        with stopping.committed():
            pass
        stopping.sleep(0)


def test_the_end_of_a_pass_holds_for_what_has_an_end_of_its_own() -> None:
    stopping = Stopping()
    with stopping.within(0):
        for seconds in (60, 0):
            with stopping.within(seconds), pytest.raises(NotReached):
                stopping.check()
        with pytest.raises(NotReached):
            stopping.sleep(60)
        with stopping.committed():
            stopping.sleep(0)
    stopping.check()


def test_a_stretch_of_one_thread_is_not_anothers() -> None:
    stopping, stopped = Stopping(), []
    stopping.request()

    def wait() -> None:
        try:
            stopping.sleep(0)
        except Stopped:
            stopped.append(True)

    with stopping.committed():
        other = Thread(target=wait)
        other.start()
        other.join()
    assert stopped == [True]


def test_what_had_no_turn_promises_no_pass_to_who_asked_for_something_else() -> None:
    """A prune, a look: no pass does it. A pass says by its outcome that the next one begins with it."""
    assert "the next pass" not in str(NotReached())
    assert str(NotReached().again()).endswith("have the server's rate limit raised; then run this again")
