"""`rotator init`: look at the account and at a mount, and propose the config and the policy."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import click

from rotator.check import grants
from rotator.clients.retry import Policy
from rotator.commands.options import Common, common_options, heed_signals, json_option
from rotator.commands.output import CONVERGED, Output
from rotator.commands.screen import waiting
from rotator.config import Config, loaded
from rotator.config.propose import Proposal, Survey, propose
from rotator.config.texts import secret_path
from rotator.config.write import Place, example_path, merged, whole
from rotator.errors import ConfigError, Rejected, RotatorError, cause
from rotator.files import read_text, write_new
from rotator.passes.stopping import Stopping
from rotator.passes.survey import look_around
from rotator.rules.consumers import told_ack_paths
from rotator.rules.previews import Previews
from rotator.show.output import Kind
from rotator.show.proposed import Draft, ProposedFile, render
from rotator.wiring import BearerSources, gateway_of, vault_of

DEFAULT_CONFIG: Final = "rotator.yaml"
_GIVEN: Final = "what init was given"
_INSTEAD: Final = {
    "gateway.url": "--gateway-url",
    "gateway.api_key.env ": "",
    "vault.address": "VAULT_ADDR",
    "vault.mount": "--mount",
}
"""By field: what says the same while there is no config."""
_ONLY_A_DAEMONS: Final = ("ROTATOR_VAULT__AUTH", "ROTATOR_WEBHOOK")
_PERSONS: Final = {"ROTATOR_VAULT__AUTH": "{method: token}", "ROTATOR_WEBHOOK": "null"}
"""A person logs in by VAULT_TOKEN, however the rotator does, and has not what signs its notices."""


@dataclass(frozen=True)
class Given:
    """The command's own options."""

    gateway_url: str | None = None
    mount: str | None = None
    under: str = ""

    def words(self, config_path: Path | None) -> tuple[str, ...]:
        """Return the command that has these options."""
        options = {
            "--gateway-url": self.gateway_url,
            "--mount": self.mount,
            "--under": self.under,
            "--config": config_path and str(config_path),
        }
        return ("rotator", "init", *(word for name, text in options.items() if text for word in (name, text)))


@click.command("init")
@click.option("--gateway-url", metavar="URL", help="Default: the APIMall gateway.")
@click.option("--mount", metavar="MOUNT", help="Default: secret.")
@click.option("--under", metavar="PATH", default="", help="Look only below this path.")
@click.option("--write", is_flag=True, help="Write the files that are not there yet.")
@json_option
@common_options
@click.pass_obj
def command(
    common: Common, *, gateway_url: str | None, mount: str | None, under: str, write: bool, as_json: bool
) -> None:
    """Propose the config and the policy for the keys that Vault holds.

    \b
    Example: with VAULT_ADDR, VAULT_TOKEN, and APIMALL_API_KEY
      rotator init --under apimall

    Logs in with your own token. Prints both files and the next commands, or what is new where they are there. It
    matches secrets to keys by their previews, and changes nothing in Vault and no file that is there.

    Exit codes: 0 proposed; 2 usage or config; 3 a server could not be
    reached or refused us.
    """
    try:
        given = Given(gateway_url, mount, secret_path(under) if under.strip("/") else "")
    except ValueError as error:
        raise click.UsageError(f"--under {error}") from None
    output = replace(common.begin(as_json=as_json, command="init", asked=True), hint=False)
    heed_signals()
    sys.exit(run_init(common.config_path, dict(os.environ), given, write=write, output=output))


def run_init(
    config_path: Path | None, environ: Mapping[str, str], given: Given, *, write: bool, output: Output
) -> int:
    """Print what is proposed, and with `write` write what is not there; return the exit code."""

    def go() -> int:
        path = config_path or Path(environ.get("ROTATOR_CONFIG") or DEFAULT_CONFIG)
        before = _before(path)
        config = _config(path, before, environ, given)
        with waiting("looking"), _cures_of_options(there=before is not None):
            survey, proposal = _look(config, environ, given, managed=before is not None)
        draft = _draft(path, before, config, survey, proposal, given.words(config_path))
        # What is proposed is held to what it is for: it can be loaded.
        loaded(draft.config.name, draft.config.after.encode(), _of_a_person(environ))
        if write:
            draft = replace(draft, written=tuple(map(_write, _missing(draft))))
        output.show(Kind.PROPOSAL, draft.to_json, lambda: render(draft))
        return CONVERGED

    return output.guard(go)


@contextmanager
def _cures_of_options(*, there: bool) -> Iterator[None]:
    """Where no config is there, let a cure name what takes a field's place."""
    try:
        yield
    except RotatorError as error:
        if not there:
            for field, option in _INSTEAD.items():
                error.cure = error.cure and error.cure.replace(field, option)
        raise


def _before(path: Path) -> str | None:
    """Return what is in a file; None where there is none."""
    try:
        return read_text(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError:
        raise _unusable(path, "is not UTF-8") from None
    except (OSError, ValueError) as error:
        raise _unusable(path, cause(error)) from None


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError("a file is in the way", (f"{path}: {why}; name another with --config",))


def _config(path: Path, before: str | None, environ: Mapping[str, str], given: Given) -> Config:
    """Return the config that is there or, as far as it goes, the one that is to be."""
    if before is None:
        if not (environ.get("VAULT_ADDR") or environ.get("ROTATOR_VAULT__ADDRESS")):
            raise ConfigError(
                "Vault is not named", ("environment VAULT_ADDR: is missing; set it to Vault's URL",)
            )
        place = Place(given.gateway_url, environ.get("VAULT_ADDR") or None, mount=given.mount)
        return loaded(_GIVEN, whole(place, Proposal(), Survey()).encode(), _of_a_person(environ))
    config = loaded(str(path), before.encode(), _of_a_person(environ))
    for option, text, there in (
        ("--gateway-url", given.gateway_url, config.gateway.url),
        ("--mount", given.mount, config.vault.mount),
    ):
        if text is not None and text.rstrip("/") != there:
            fault = f"{option}: the config says otherwise; leave it out, or name another file with --config"
            raise ConfigError(f"{path} is there", (fault,))
    return config


def _of_a_person(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: text for name, text in environ.items() if not name.startswith(_ONLY_A_DAEMONS)}
    return kept | _PERSONS


def _look(
    config: Config, environ: Mapping[str, str], given: Given, *, managed: bool
) -> tuple[Survey, Proposal]:
    stopping, policy = Stopping(), Policy()
    with closing(vault_of(config, environ, stopping, policy)) as vault:
        bearer = BearerSources(config, lambda: vault, environ).bearer()
        with closing(gateway_of(config, bearer, stopping, policy)) as gateway:
            listed = gateway.list_keys().keys
        previews, text = Previews(listed), bearer.current().reveal()
        survey = look_around(
            vault,
            config.vault.mount,
            given.under,
            previews,
            text,
            state_path=config.vault.state_path,
            workers=config.gateway.max_concurrency,
        )
    proposal = propose(
        survey,
        listed,
        titles=config.titles,
        managed=config.managed if managed else (),
        bearer_path=config.gateway.api_key.vault,
        bearer_ids=[key.id for key in previews.matching(text)],
        unfit=grants.unfit,
    )
    return survey, proposal


def _draft(
    path: Path,
    before: str | None,
    config: Config,
    survey: Survey,
    proposal: Proposal,
    command: tuple[str, ...],
) -> Draft:
    vault, new = config.vault, [one.path for one in proposal.entries]
    if before is None:
        place = Place(config.gateway.url, vault.address, vault.namespace, vault.mount, vault.ca_cert)
        after: str | None = whole(place, proposal, survey)
        paths = new or [example_path(survey)]
    else:
        after = merged(before, proposal.entries)
        paths = [*(key.path for key in config.managed), *new]
    bearer, others = config.gateway.api_key.vault, survey.paths.difference(paths)
    told = tuple(told_ack_paths(config.managed, vault.acks_path))
    text = grants.policy(
        vault.mount,
        paths,
        bearer,
        vault.state_path,
        vault.acks_path,
        told=told,
        others=others,
        saw=survey.saw,
    )
    policy = path.with_suffix(".policy.hcl" if path.suffix == ".hcl" else ".hcl")
    return Draft(
        config=ProposedFile(str(path), before, after if after is not None else before or ""),
        policy=ProposedFile(str(policy), _before(policy), text),
        proposal=proposal,
        survey=survey,
        mount=vault.mount,
        command=command,
        by_hand=after is None and bool(proposal.entries),
    )


def _missing(draft: Draft) -> list[ProposedFile]:
    return [file for file in draft.files if file.before is None]


def _write(file: ProposedFile) -> str:
    """Write a file that is not there; one that appeared meanwhile is left."""
    try:
        write_new(Path(file.name), file.after)
    except OSError as error:
        raise Rejected(
            f"{file.name} cannot be written ({cause(error)})",
            cure="make its directory, or name another --config",
        ) from None
    return file.name
