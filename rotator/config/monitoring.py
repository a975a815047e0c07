"""The config's blocks for what people and monitoring see."""

from typing import Annotated

from pydantic import AfterValidator, Field

from rotator.config import texts
from rotator.config.block import Block


class Http(Block):
    """What the long-running mode shows: a page, and what monitoring asks for. It shows no secret."""

    listen: Annotated[str, AfterValidator(texts.listen)] | None = Field(
        default="127.0.0.1:9464", description="Host and port; null for no HTTP. Who reaches it may read it."
    )

    @property
    def address(self) -> tuple[str, int] | None:
        return None if self.listen is None else texts.host_and_port(self.listen)


class Metrics(Block):
    """Where a single pass leaves its metrics when it ends: a CronJob has nobody to scrape it."""

    textfile: Annotated[str, AfterValidator(texts.metrics_file)] | None = Field(
        default=None, description="A file for node_exporter's textfile collector; it ends in .prom."
    )
    pushgateway: Annotated[str, AfterValidator(texts.metrics_url)] | None = Field(
        default=None, description="The URL of a Pushgateway."
    )
    job: Annotated[str, AfterValidator(texts.job)] = Field(
        default="rotator", description="The job at the Pushgateway; one for each account."
    )

    @property
    def wanted(self) -> bool:
        return bool(self.textfile or self.pushgateway)
