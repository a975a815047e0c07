"""The receivers of consumers: where each is told which key is current, and what signs that."""

from collections.abc import Iterator

from rotator.config.fields import Entry
from rotator.config.monitoring import Webhook
from rotator.config.validate import Fault
from rotator.config.yaml import Path, dotted
from rotator.rules.model import Receiver


def receiver_faults(index: int, entry: Entry, *, signed: bool) -> Iterator[Fault]:
    """Yield what is wrong with those of one entry.

    `signed`: whether webhook.secret signs where a consumer has no secret of its own.
    """
    for at, consumer in enumerate(entry.consumers):
        place: Path = ("keys", index, "consumers", at)
        if consumer.secret and not consumer.url:
            yield (*place, "secret"), "signs nothing without a `url`; remove it or write the `url`"
        elif consumer.url and not (consumer.secret or signed):
            yield (
                (*place, "url"),
                "has nothing that signs what is told there; write `secret: {env: WEBHOOK_SECRET}` beside it",
            )


def receivers_of(index: int, entry: Entry, webhook: Webhook | None) -> Iterator[Receiver]:
    """Yield those of one entry.

    `webhook`: its secret signs where a consumer has none of its own.
    """
    for at, consumer in enumerate(entry.consumers):
        place: Path = ("keys", index, "consumers", at, "secret") if consumer.secret else ("webhook", "secret")
        source = consumer.secret or (webhook and webhook.secret)
        if consumer.url and source:
            yield Receiver(consumer.name, consumer.url, dotted(place), source.file, source.env)
