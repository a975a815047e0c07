"""Whom to tell of passes: the webhook that the config names, or nobody."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rotator.config.monitoring import Webhook, signing_secrets
from rotator.errors import RotatorError
from rotator.passes.result import PassResult

Tell = Callable[[PassResult | RotatorError], None]
"""Told what came of a pass."""


@contextmanager
def open_notifier(webhook: Webhook | None, environ: Mapping[str, str]) -> Iterator[Tell]:
    """Hand out whom to tell of each pass; tell of an error that ends it all, and wait a while for the receiver."""
    if webhook is None:
        yield lambda _seen: None
        return
    from rotator.service.delivery import Notifier  # only who wants notices pays for it

    notifier = Notifier(webhook.url, signing_secrets(webhook.secret, environ), webhook.events)
    try:
        yield notifier.tell
    except RotatorError as error:
        notifier.tell(error)
        raise
    finally:
        notifier.close()
