"""What the long-running mode shows over HTTP: a page for people, and what monitoring asks for."""

from rotator.service.web.server import Web

__all__ = ["Web"]
