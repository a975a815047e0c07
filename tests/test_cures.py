"""Every cure of the program is walked by a test, or it is said here why it cannot be."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.cures import FAULTS, GAP, Cure, collect
from tests.program import ROOT
from tests.test_cures_config import FILES, VARIABLES, faults, whole

_PLACE: Final = "test_cures_config.py::test_what_a_fault_of_the_files_place_says_cures_it"
_SIGNS: Final = "test_cures_config.py::test_what_a_fault_of_the_signing_secrets_file_says_cures_it"
_WALK: Final = "test_cures_walked.py::"
_IDENTITY: Final = f"{_WALK}TestTheIdentity::"
_SET_UP: Final = f"{_WALK}TestVaultsSetUp::"
_LOOK: Final = f"{_WALK}test_check_says_what_to_write"
_CREDENTIALS: Final = f"{_WALK}TestCredentials::"
_PROXY: Final = "test_proxies_used.py::TestARealProxy::"
_CHECK: Final = "test_check_program.py::TestVault::"
_INIT: Final = "test_init.py::TestWhatIsRefused::"
_BESIDE: Final = "test_vault_as_it_is.py::TestNeighbours::"
_CLAIM: Final = "test_rotate.py::TestTheClaim::"
_CAS: Final = "test_proxies_used.py::TestCas::"
_FREEZE: Final = "test_freeze_program.py::TestBadInput::"
_COPIES: Final = "test_copies.py::TestWhatItSaysCuresIt::"
_PASS: Final = "test_cures_passes.py::"

WALKED: Final[Mapping[str, str]] = {
    # A part of the cure, or after `=` the whole of it; and the test.
    "put an API key of the account into one of them": _LOOK,
    "grant what deploy/vault/init.hcl has": f"{_INIT}test_a_mount_that_may_not_be_listed",
    "name another one with --mount": f"{_INIT}test_no_mount_and_one_of_version_1",
    "make its directory, or name another --config": f"{_INIT}test_a_place_that_cannot_be_written",
    "grant in a policy of the token": f"{_CHECK}test_the_policy_that_it_writes_is_the_cure",
    "check … (…), and the network between here and there": _LOOK,
    "check …, and this machine's name servers": _LOOK,
    "shorten title_template before the first pass": _LOOK,
    "write a longer grace_period": _LOOK,
    "write a longer rotation_period": _LOOK,
    "write a longer rotation_window": _LOOK,
    "clear delete_version_after on the path": f"{_SET_UP}test_what_vault_deletes_by_itself",
    "check vault.mount against the list": f"{_SET_UP}test_a_mount_that_is_hidden",
    "issue another one: …; or let the rotator log in": f"{_SET_UP}test_a_token_is_issued_anew_as_printed",
    "issue another one without -use-limit": f"{_SET_UP}test_a_token_is_issued_anew_as_printed",
    "it is mistyped, has expired, or lacks": f"{_SET_UP}test_a_token_is_issued_anew_as_printed",
    "let an agent keep the token in a file": f"{_SET_UP}test_a_token_is_issued_anew_as_printed",
    "check the agent that writes the file": f"{_SET_UP}test_a_token_in_a_file_is_issued_anew_as_printed",
    "raise the token_ttl of its role": f"{_SET_UP}test_logins",
    "name PEM files in": _LOOK,
    "check the port and the scheme": _LOOK,
    "check gateway.url: it must be the API's base URL": _LOOK,
    "is mistyped or revoked; put a live key there": f"{_CREDENTIALS}test_the_bearer",
    "store the key alone there": f"{_CREDENTIALS}test_the_bearer",
    "write the key alone into it": f"{_CREDENTIALS}test_the_bearer",
    "make it a file that this user can read": f"{_CREDENTIALS}test_the_bearer",
    "mount the file, and check that the program that writes it is running": f"{_CREDENTIALS}test_a_token_in_a_file",
    "store the credential alone": f"{_CREDENTIALS}test_a_token_in_a_file",
    "write the credential alone into it": f"{_CREDENTIALS}test_a_token_in_a_file",
    "and that its policy grants": f"{_SET_UP}test_a_policy_that_is_not_enough",
    "grant it in the token's policy": f"{_SET_UP}test_a_policy_that_is_not_enough",
    "there is no such mount; make it: `vault secrets enable": f"{_SET_UP}test_no_mount",
    "the namespace does not exist; correct or unset vault.namespace or VAULT_NAMESPACE": _LOOK,
    "make a token without num_uses": f"{_SET_UP}test_a_pass_with_a_token_that_will_not_do",
    "renew it, log in again": f"{_SET_UP}test_a_pass_with_a_token_that_will_not_do",
    "write only the mount, …": f"{_SET_UP}test_a_path_in_a_mount",
    "name a KV version 2 mount in vault.mount": f"{_SET_UP}test_a_mount_of_another_kind",
    "enable versions on it: `vault kv enable-versioning": f"{_SET_UP}test_a_mount_of_version_1",
    "check vault.auth.mount and role_id": f"{_SET_UP}test_logins",
    "list the accessors: `vault list": f"{_SET_UP}test_a_wrapped_secret_id_that_was_used",
    "with a token that may update it": f"{_IDENTITY}test_not_bound_yet",
    "if this is another address of the same Vault": f"{_IDENTITY}test_another_address",
    "if it was moved, and no rotator uses": f"{_IDENTITY}test_another_mount",
    "roll the secret back; if it is lost": f"{_IDENTITY}test_nonsense",
    "roll the secret back; or, if this is the Vault": f"{_IDENTITY}test_nonsense",
    "undelete it, with vault.mount in place of MOUNT: `vault kv undelete": f"{_IDENTITY}test_deleted",
    "the keys made so far are then unmanaged, and never revoked": f"{_IDENTITY}test_deleted",
    "`vault operator unseal`": "test_check_tls.py::TestARealServer::test_a_sealed_one",
    "correct …, or unset it to trust the usual CAs": f"{_CAS}test_a_directory",
    "see whether a new key appears within": f"{_CLAIM}test_who_asked_for_a_key_is_told_that_another_makes_it",
    "name another field in `bookkeeping`": (
        f"{_BESIDE}test_a_field_that_is_not_our_bookkeeping_is_not_written_over"
    ),
    "or put a working key into the secret": f"{_PASS}test_the_key_of_a_secret_that_is_refused_is_rotated",
    "look at the key: `rotator status`; then": f"{_PASS}test_a_rollback_that_met_another_write_is_run_again",
    "the next pass makes one; or put": f"{_PASS}test_a_key_that_cannot_be_rolled_back_is_replaced",
    "to replace the current key instead": f"{_PASS}test_a_key_that_cannot_be_rolled_back_is_replaced",
    "put its plaintext at the path, and the next pass adopts": (
        "test_way_back.py::TestNoneIsAlive::test_a_key_made_by_hand_is_adopted"
    ),
    "use one of yours, whose policy grants": (
        "test_freeze_program.py::TestThePolicyForPeople::test_for_the_identity_it_says_what_a_person_needs"
    ),
    "name the key with --key-id": "test_ack_program.py::TestBadInput::test_a_secret_that_names_no_key",
    "look at what stands there": "test_freeze_passes.py::test_somebody_else_writes_at_the_same_time",
    "a pass makes it, whatever is frozen": f"{_FREEZE}test_a_secret_that_is_not_there_yet_is_made_first",
    "=run this again": f"{_PASS}test_a_rotation_that_met_another_write_is_run_again",
    "for this copy: one secret has one rotator": f"{_COPIES}test_another_path",
    "or delete that secret, and the next pass writes it anew": f"{_COPIES}test_a_copy_of_something_else_is_deleted",
    "or remove that field, and the next pass writes it": f"{_COPIES}test_a_field_is_removed",
    "give the rotator another vault.state_path": f"{_PASS}test_a_record_of_claims_that_is_somebodys_is_moved",
    "=run it again in a few minutes": "test_prune.py::TestMeanwhile::test_another_rotator_is_at_work",
    "check that this machine's clock is right (NTP)": f"{_PASS}test_a_clock_that_is_off_is_set",
    "create the directory, and let": f"{_WALK}test_the_metrics_file",
    "to reach it in time": "test_report.py::test_what_is_not_reached_goes_first_in_the_next_pass",
    "remove vault.tls_skip_verify": "test_check_tls.py::test_any_certificate_is_trusted",
    "renew the server's certificate; if it is still valid": "test_check_tls.py::test_one_that_has_expired",
    "renew the server's certificate; nothing": "test_check_tls.py::test_one_that_ends_soon",
    "write the host name of the certificate": "test_check_tls.py::test_one_of_another_name",
    "name the CA's PEM file in ….ca_cert": "test_check_tls.py::test_one_of_a_ca_that_is_not_trusted",
    "vault.client_key name one for Vault": "test_check_tls.py::TestARealServer::test_without_our_certificate",
    "unset SSLKEYLOGFILE": f"{_CAS}test_a_file_of_session_keys_that_cannot_be_written",
    "check the host name, and which CAs": f"{_CAS}test_one_of_other_cas_is_named",
    "and the network between here and the proxy": f"{_PROXY}test_it_cannot_be_reached",
    "let the proxy allow CONNECT to": f"{_PROXY}test_it_refuses",
    "find out why the proxy cannot reach": f"{_PROXY}test_it_refuses",
    "user and password in …, or …": f"{_PROXY}test_it_refuses",
    "=…, or …": f"{_PROXY}test_it_refuses",
    "write http://HOST:PORT": f"{_PROXY}test_what_is_wrong_and_not_used_stops_nothing",
    "… names a file that cannot be read; make it a file": _SIGNS,
    "… names a file that is not there; mount the file": _SIGNS,
    "is a directory; name the file in it": _PLACE,
    "is not UTF-8; save the file": _PLACE,
    "make it readable for this user, or name another": _PLACE,
    "write one (see config/minimal.yaml)": _PLACE,
}
_SUPPORT: Final = "only the gateway's support can do it"
_WAIT: Final = "it names what comes by itself; that it comes is tested where it is done"
_HOST: Final = "it is done on a host or a network, which no test changes"
_ELSEWHERE: Final = "it wants a server that no test has"
_ASKED: Final = "it asks what to look at, and another error's cure, which is walked, says what to do"
_RECEIVER: Final = "what is wrong with a receiver is known to who runs it"
UNWALKED: Final[Mapping[str, str]] = {
    # The same; and the reason.
    "check that this is the gateway; if a proxy of yours": "whether a host is the gateway is known to people alone",
    "put one where gateway.api_key points": "the sources of a config say themselves what they lack",
    "a pass revokes it after orphan_after": _WAIT,
    "take revoked keys off the list": _SUPPORT,
    "to approve API access": _SUPPORT,
    "ask the gateway's support, and name the request_id": _SUPPORT,
    "why it refuses a key's own requests": _SUPPORT,
    "why it refuses this one": _SUPPORT,
    "if it lasts, ask the gateway's support": _SUPPORT,
    "if it stays, ask the gateway's support": _SUPPORT,
    "if the key stays, ask the gateway's support": _SUPPORT,
    "if the list is wrong, ask the gateway's support": _SUPPORT,
    "ask the gateway's support; or --rotate-now": _SUPPORT,
    "the next pass tries again; if that fails, too, revoke the key by hand": _WAIT,
    "they are revoked in time": _WAIT,
    "wait a few seconds and run this again: a read from Vault may be stale for so long": _WAIT,
    "nothing is lost: a later pass finds the key": _WAIT,
    "the next pass does it, or says why it cannot": _WAIT,
    "the next pass tries again, because they have no grace left": _WAIT,
    "because a second rollback undoes the first": "what is to be done depends on what is seen",
    "raise the limit on threads": _HOST,
    "let it pass what goes to Vault": _HOST,
    "move the deeply nested data": "a secret so deep is refused by the server itself",
    "check this machine's name servers": _HOST,
    "check the clocks of this machine and of the server": _HOST,
    "and remove vault.allow_http": "it is said of a host that is not this machine",
    "check gateway.url (": "the same walk as that of vault.address, by the same code",
    "check vault.address (": "the same walk as that of `rotator check`, by the same code",
    "write another title_template": "the config refuses each template that would provoke it",
    "is there twice; write it once": "what to write is said by test_titles.py, which reads it",
    "see the description of this field": "no field of today has a fault of another kind",
    "`vault operator init`": _ELSEWHERE,
    "set vault.address to the active node": _ELSEWHERE,
    "Vault before 1.9": _ELSEWHERE,
    "Vault has custom metadata since 1.9": _ELSEWHERE,
    "a quota in Vault is reached": "which quota is right is known to who set it",
    "find out whether Vault is sealed": _ASKED,
    "check that vault.address is a Vault server": _ASKED,
    "check vault.auth and what Vault holds": "what is wrong with a role is known to who set it",
    "to test the rest, check with": "it is no error: what works once is left for the rotator",
    "issue a new wrapped one at …": "to issue a wrapped secret id is walked where it was used before",
    "choose a title_template that the gateway does not change": "the contract's gateway keeps every title",
    "=check …, and the network between here and there": _RECEIVER,
    "=check …, …, and the clock of this machine": _RECEIVER,
    "or correct webhook.url": _RECEIVER,
    "remove the `url` of this consumer from the config, or correct it": _RECEIVER,
    "check metrics.pushgateway": "what is wrong with a Pushgateway is known to who runs it",
    "this is a fault of the rotator: report it, and attach the log": "it is for the authors",
    "choose another one, or 0 for any": "of the sandbox, which is not for production",
    "name a bao or vault binary, or unset it": "of the sandbox, which is not for production",
    "pip install 'apimall-rotator[sandbox]'": "it installs from a registry",
    "is not a shard; write I/N": "of the option; test_shard.py reads what it says and what is sound",
}


@pytest.fixture(scope="module")
def cures() -> set[Cure]:
    return collect()


def known() -> Iterator[str]:
    yield from WALKED
    yield from UNWALKED


def fits(part: str, cure: Cure) -> bool:
    return part == f"={cure.text}" or part in cure.text


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All faults of the config that test_cures_config.py cures."""
    path = tmp_path_factory.mktemp("cures") / "c.yaml"

    def of(text: str, environ: Mapping[str, str | None]) -> str:
        path.write_text(whole(text))
        return faults(path, environ)

    return "\n".join(
        [*(of(wrong, {}) for _, wrong, _ in FILES), *(of("", wrong) for _, wrong, _ in VARIABLES)]
    )


def in_config(cure: Cure, said: str) -> bool:
    """Whether it was printed for a fault of the config that is cured."""
    pattern = re.sub(rf"{re.escape(GAP)}|\\\{{[a-z_]+\\\}}", ".+", re.escape(cure.text))
    return cure.file.startswith(FAULTS) and re.search(pattern, said) is not None


def test_each_cure_is_walked_or_has_a_reason(cures: set[Cure], said: str) -> None:
    left = [cure for cure in sorted(cures) if not any(fits(part, cure) for part in known())]
    assert [cure for cure in left if not in_config(cure, said)] == []


def test_no_entry_is_of_a_cure_that_is_gone(cures: set[Cure]) -> None:
    assert [part for part in known() if not any(fits(part, cure) for cure in cures)] == []
    assert WALKED.keys() & UNWALKED.keys() == set()
    assert all(UNWALKED.values())


def test_each_named_test_exists() -> None:
    names: set[str] = set()
    for file in {test.partition("::")[0] for test in WALKED.values()}:
        for node in ast.parse((ROOT / "tests" / file).read_text()).body:
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            outer = f"{file}::{node.name}::" if isinstance(node, ast.ClassDef) else f"{file}::"
            names |= {outer + part.name for part in inner if isinstance(part, ast.FunctionDef)}
    assert set(WALKED.values()) - names == set()
