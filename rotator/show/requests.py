"""The requests by which a record says what was changed."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from rotator.clients.request_log import Step

_CHANGING = ("DELETE", "PATCH", "POST", "PUT")


def changing(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Those that may have changed a key or a secret: not the logins, nor what only asks."""
    return tuple(
        step
        for step in steps
        if step.method in _CHANGING and not step.path.startswith(("/v1/auth/", "/v1/sys/"))
    )


def lines_of_requests(steps: Sequence[Step]) -> Iterator[Text]:
    """Each with its time, what was answered, and the id by which its server knows it."""
    yield Text("requests that changed something, by this machine's clock")
    for step in steps:
        yield Text(f"  {step.at:%H:%M:%S}Z  {step.method:6}  {step.status or '-'}  {step.path}")
        yield Text(f"             {step.request_id or 'no request id'}")
