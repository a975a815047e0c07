"""What `rotator init` proposes of what it saw, and the texts that it makes of it. Nobody is asked."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.check import grants
from rotator.config import Config, loaded
from rotator.config.propose import Doubt, Found, Proposal, Survey, holdings, propose
from rotator.config.write import Place, diff, merged, scalar, whole
from rotator.rules.model import Key
from rotator.rules.previews import Previews
from rotator.rules.titles import TitleTemplate, valid_name
from tests.deployed import DEPLOY, debian_tool
from tests.facts import managed
from tests.program import BACKEND, REPORTING

TITLES = TitleTemplate()
TOKEN = {"VAULT_TOKEN": "t0ken", "APIMALL_API_KEY": "b3arer"}
PLACE = Place(address="https://vault.example.com:8200")


def key(id_: int, title: str = "", status: str = "active") -> Key:
    return Key(
        id_, title or f"Key {id_}", status, datetime(2026, 1, 1, tzinfo=UTC), f"sk-abc{id_}...wxy{id_}"
    )


def found(path: str, *keys: Key, field: str = "api_key", bearer: bool = False) -> Found:
    return Found(path, field, keys, bearer)


def seen(*all_: Found, paths: Iterable[str] = (), **others: object) -> Survey:
    return Survey(found=all_, paths=frozenset({*paths, *(one.path for one in all_)}), **others)  # type: ignore[arg-type]


def proposed(*all_: Found, listed: Iterable[Key] = (), **others: object) -> Proposal:
    return propose(seen(*all_), listed, titles=TITLES, unfit=grants.unfit, **others)  # type: ignore[arg-type]


def doubts(proposal: Proposal) -> list[tuple[Doubt, tuple[str, ...]]]:
    return [(question.doubt, question.paths) for question in proposal.questions]


def load(text: str) -> Config:
    return loaded("it", text.encode(), TOKEN)


class TestWhatASecretHolds:
    PREVIEWS = Previews([key(1), key(2), replace(key(3), preview=key(2).preview)])
    ONE, TWO = "sk-abc1-in-between-wxy1", "sk-abc2-in-between-wxy2"

    def test_the_fields_that_fit_a_preview(self) -> None:
        data = {"api_key": f" {self.ONE}\n", "user": "x", "n": 7, "deep": {"api_key": self.ONE}, "none": None}
        assert list(holdings("a", data, self.PREVIEWS, None)) == [found("a", key(1))]

    def test_two_keys_of_one_preview(self) -> None:
        (one,) = holdings("a", {"k": self.TWO}, self.PREVIEWS, None)
        assert [fits.id for fits in one.keys] == [2, 3]

    def test_the_bearer_by_its_text(self) -> None:
        data = {"api_key": self.ONE, "other": "unlisted"}
        assert [one.bearer for one in holdings("a", data, self.PREVIEWS, self.ONE)] == [True]
        assert [one.field for one in holdings("a", data, self.PREVIEWS, "unlisted")] == ["api_key", "other"]

    @pytest.mark.parametrize("data", [None, {}, {"api_key": 5}, {"api_key": ["sk"]}, {"api_key": ""}])
    def test_nothing(self, data: dict[str, object] | None) -> None:
        assert list(holdings("a", data, self.PREVIEWS, None)) == []


class TestEntries:
    def test_each_key_whose_secret_is_certain(self) -> None:
        proposal = proposed(found("b/x", key(2, "Two"), field="token"), found("a", key(1, "One")))
        assert [(one.name, one.path, one.field) for one in proposal.entries] == [
            ("One", "a", "api_key"),
            ("Two", "b/x", "token"),
        ]
        assert proposal.questions == ()

    @pytest.mark.parametrize(
        ("title", "name"),
        [
            ("Production backend", "Production backend"),
            (" padded ", "padded"),
            ("Reporting [2026-01-01T00:00:00Z abcdef-00000000]", "Reporting"),
            ("", "app/web"),
            ("x" * 65, "app/web"),
            ("déjà vu", "app/web"),
            ("a: b", "app/web"),
            ("x\nkeys: []", "app/web"),
            ("\x1b[31mred", "app/web"),
            ("/", "app/web"),
            ("sk-abcdefghijklmnop0123456789", "app/web"),
        ],
    )
    def test_a_name_is_the_titles_where_it_is_valid_else_the_paths(self, title: str, name: str) -> None:
        assert proposed(found("app/web", key(1, title or " "))).entries[0].name == name

    def test_names_are_unique(self) -> None:
        same = [found(path, key(n, "Same")) for n, path in enumerate(("a", "b", "c"), 1)]
        assert [one.name for one in proposed(*same).entries] == ["Same", "b", "c"]
        taken = replace(managed(), name="b", path="z")
        assert [one.name for one in proposed(*same, managed=[taken]).entries] == ["Same", "b 2", "c"]

    def test_what_is_managed_is_not_proposed_again(self) -> None:
        proposal = proposed(found(managed().path, key(1)), managed=[managed()])
        assert proposal == Proposal(managed=(managed(),))


class TestQuestions:
    def test_two_keys_of_one_preview(self) -> None:
        proposal = proposed(found("a", key(1), key(2)))
        assert (proposal.entries, doubts(proposal)) == ((), [(Doubt.ONE_PREVIEW, ("a",))])
        assert "keys 1 or 2" in proposal.questions[0].words

    def test_one_key_in_two_secrets_or_two_fields(self) -> None:
        proposal = proposed(found("a", key(1)), found("b", key(1)), found("c", key(2)))
        assert [one.path for one in proposal.entries] == ["c"]
        assert doubts(proposal) == [(Doubt.MANY_PLACES, ("a", "b"))]
        assert doubts(proposed(found("a", key(1)), found("a", key(1), field="b"))) == [
            (Doubt.MANY_PLACES, ("a",))
        ]

    def test_the_copy_of_a_managed_key(self) -> None:
        proposal = proposed(found(managed().path, key(1)), found("z", key(1)), managed=[managed()])
        assert doubts(proposal) == [(Doubt.MANY_PLACES, (managed().path, "z"))]

    def test_two_keys_in_one_secret(self) -> None:
        proposal = proposed(found("a", key(1)), found("a", key(2), field="b"))
        assert (proposal.entries, doubts(proposal)) == ((), [(Doubt.MANY_KEYS, ("a",))])

    def test_the_bearer(self) -> None:
        proposal = proposed(found("a", key(1), bearer=True), listed=[key(1)], bearer_ids=[1])
        assert (proposal.entries, doubts(proposal)) == ((), [(Doubt.BEARER, ("a",))])
        assert "gateway.api_key.vault" in proposal.questions[0].words
        assert proposal.unstored == ()
        assert doubts(proposed(found("a", key(1), bearer=True), bearer_path="a")) == []

    @pytest.mark.parametrize(
        ("path", "says"),
        [
            ("a/+/b", "takes for any part"),
            ("a{{x}}", "takes for a template"),
            ("a${x}", "takes for a template"),
            ("a#b", "holds `#`"),
            ("a/ b", "space at a part's edge"),
            ("a*", "which no path may have"),
            ("a\\b", "which no path may have"),
            ("sk-abcdefghijklmnop0123456789", "is not one that a config can hold"),
        ],
    )
    def test_a_path_that_no_config_or_policy_can_name(self, path: str, says: str) -> None:
        proposal = proposed(found(path, key(1)))
        assert (proposal.entries, doubts(proposal)) == ((), [(Doubt.UNFIT, (path,))])
        assert says in proposal.questions[0].words

    def test_a_field_that_no_config_can_name(self) -> None:
        assert doubts(proposed(found("a", key(1), field="x\ny"))) == [(Doubt.UNFIT, ("a",))]


class TestWhatIsMissing:
    def test_live_keys_in_no_secret(self) -> None:
        ours = key(9, "Key [2026-01-01T00:00:00Z abcdef-00000000]")
        listed = [key(4), key(3, status="revoked"), key(2), key(1), ours]
        assert [one.id for one in proposed(found("a", key(1)), listed=listed, bearer_ids=[2]).unstored] == [4]

    @pytest.mark.parametrize(
        ("survey", "gone"),
        [
            (Survey(), True),
            (Survey(paths=frozenset({"p"})), False),
            (Survey(paths=frozenset({"p"}), empty=frozenset({"p"})), True),
            (Survey(unread=("p",)), False),
            (Survey(cut=True), False),
            (Survey(under="elsewhere"), False),
            (Survey(unlisted=("elsewhere",)), True),
        ],
    )
    def test_entries_without_a_secret(self, survey: Survey, gone: bool) -> None:
        one = replace(managed(), path="p")
        assert propose(survey, [], titles=TITLES, managed=[one]).gone == ((one,) if gone else ())

    def test_a_folder_that_was_not_seen(self) -> None:
        one = replace(managed(), path="a/b/c")
        assert propose(Survey(unlisted=("a",)), [], titles=TITLES, managed=[one]).gone == ()


TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "yes",
        "NULL",
        "1",
        "1.5",
        "0x1",
        "2026-01-01",
        "-",
        "- a",
        "a: b",
        "a #b",
        "'a'",
        '"',
        "é",
        "~",
        "&a",
        "!b",
    ]
)
PATHS = st.lists(TEXTS.filter(bool), min_size=1, max_size=3).map("/".join)


class TestTheConfig:
    @given(
        st.dictionaries(PATHS, st.tuples(TEXTS, TEXTS.filter(bool)), max_size=6),
        st.booleans(),
    )
    def test_it_loads_and_says_what_was_proposed(
        self, secrets: dict[str, tuple[str, str]], several: bool
    ) -> None:
        keys = [key(n, title) for n, (title, _) in enumerate(secrets.values(), 1)]
        places = [
            found(path, *([one, key(99)] if several and one.id == 1 else [one]), field=field)
            for (path, (_, field)), one in zip(secrets.items(), keys, strict=True)
        ]
        survey = seen(*places)
        proposal = propose(survey, keys, titles=TITLES, unfit=grants.unfit)
        config = load(whole(PLACE, proposal, survey))
        wanted = [(one.name, one.path, one.field) for one in proposal.entries]
        got = [(one.name, one.path, one.field) for one in config.managed]
        assert got == (wanted or [("Example", "apimall/example", "api_key")])
        assert len(proposal.entries) + len({path for one in proposal.questions for path in one.paths}) == len(
            secrets
        )
        assert all(valid_name(one.name) for one in proposal.entries)

    def test_as_it_is_read(self) -> None:
        listed = [key(1, "Production backend"), key(2), key(3), key(4, "x\n- name: evil"), key(5)]
        places = [found("app/web", listed[0]), found("app/b", listed[1], listed[2]), found("c", listed[4])]
        survey = seen(*places, unread=("app/no",), unlisted=("ops",), cut=True)
        proposal = propose(survey, listed, titles=TITLES)
        place = replace(PLACE, gateway_url="http://127.0.0.1:1/api", mount="kv", namespace="team")
        text = whole(place, proposal, survey)
        assert text == (
            "# The managed keys of an account, as `rotator init` proposed them. Each key is replaced every 30d;\n"
            "# rotation_period, grace_period and the other fields are in docs/config.md.\n"
            "gateway:\n"
            '  url: "http://127.0.0.1:1/api"\n'
            "vault:\n"
            '  address: "https://vault.example.com:8200"\n'
            "  namespace: team\n"
            "  mount: kv\n"
            "keys:\n"
            "  - name: Production backend\n"
            "    path: app/web\n"
            "  - name: Key 5\n"
            "    path: c\n"
            "#\n"
            "# To decide:\n"
            '# - the secret "app/b" holds keys 2 or 3, which have the same preview. Revoke the one that no program '
            "uses, and run\n"
            "#   this again.\n"
            "# Live keys of the account that are in no secret that was seen:\n"
            '# - key 4, "x?- name: evil"\n'
            "# Secrets that could not be read:\n"
            '# - "app/no"\n'
            "# Folders that could not be listed:\n"
            '# - "ops"\n'
            "# There are more secrets than the 3 that were looked at: see --under.\n"
        )
        assert load(text).vault.mount == "kv"

    def test_an_example_is_at_no_secrets_path(self) -> None:
        survey = seen(paths=["app/example", "app/example1"], under="app")
        assert load(whole(PLACE, Proposal(), survey)).managed[0].path == "app/example2"

    @given(TEXTS | st.text(alphabet="aenoxy01 .-_/:#", max_size=8))
    def test_a_text_stays_a_text_for_every_reader(self, text: str) -> None:
        import yaml

        if text.isprintable():
            assert yaml.safe_load(f"a: {scalar(text)}\n") == {"a": text}


CONFIG = """# mine
vault:
  address: https://vault.example.com:8200
keys: # all of them
  - name: Production backend # the first
    path: apimall/production-backend

    rotation_period: 7d
# behind
schedule:
  every: 5m"""


class TestTheConfigThatIsThere:
    ENTRIES = proposed(found("b", key(2, "Two"), field="APIMALL_API_KEY")).entries
    AFTER = CONFIG.replace(
        "rotation_period: 7d\n",
        "rotation_period: 7d\n  - name: Two\n    path: b\n    field: APIMALL_API_KEY\n",
    )

    def test_entries_go_behind_the_last_and_nothing_else_changes(self) -> None:
        assert merged(CONFIG, self.ENTRIES) == self.AFTER
        assert merged(CONFIG.replace("\n", "\r\n"), self.ENTRIES) == self.AFTER.replace("\n", "\r\n")
        assert merged(CONFIG, ()) == CONFIG

    @pytest.mark.parametrize(
        "text",
        [
            CONFIG.replace("  - name", "- name").replace("    ", "  "),
            CONFIG[: CONFIG.index("\n# behind")],
            CONFIG[: CONFIG.index("\n# behind")] + "\n",
            CONFIG.replace("  - name", "  -   name").replace("    ", "      "),
        ],
    )
    def test_in_whatever_style(self, text: str) -> None:
        after = merged(text, self.ENTRIES)
        assert after is not None
        assert [one.name for one in load(after).managed] == ["Production backend", "Two"]

    def test_a_field_that_is_the_configs_default_needs_no_line(self) -> None:
        config = CONFIG + "\ndefaults: {field: token}\n"
        entries = (replace(self.ENTRIES[0], field="token"),)
        assert "    field:" not in (merged(config, entries) or "    field:")
        assert "    field: api_key\n" in (merged(config, (replace(self.ENTRIES[0], field="api_key"),)) or "")

    @pytest.mark.parametrize(
        "text",
        [
            "keys: [{name: a, path: z}]",
            "keys:\n  - {name: a, path: z}",
            "keys: 7",
            "a",
            "",
            "{",
            "keys:\n  - |\n    a\n",
        ],
    )
    def test_what_is_not_understood_is_left(self, text: str) -> None:
        after = merged(text, self.ENTRIES)
        assert after is None or load(f"vault: {{address: 'https://v'}}\n{after}").managed[1].name == "Two"

    def test_patch_takes_the_diff(self, tmp_path: Path) -> None:
        path = tmp_path / "rotator.yaml"
        path.write_text(CONFIG)
        told = f"# words before it\n\n{diff('rotator.yaml', CONFIG, self.AFTER)}"
        subprocess.run(
            [debian_tool("patch", "patch"), "-p0"], input=told, text=True, cwd=tmp_path, check=True
        )
        assert path.read_text() == self.AFTER
        assert diff("a", CONFIG, CONFIG) == ""


class TestThePolicy:
    def test_it_is_the_one_in_deploy(self) -> None:
        """One source: the file is what the program proposes for the config that the file is made for."""
        text = (DEPLOY / "vault/policy.hcl").read_text()
        ours = grants.policy("secret", [BACKEND, REPORTING], None, "rotator/installation", "rotator/acks")
        assert text.endswith("\n\n" + ours)

    @pytest.mark.parametrize(
        ("paths", "bearer", "others", "blocks"),
        [
            (["a/b"], None, (), ["a/b"]),
            (["a", "b"], None, (), ["a", "b"]),
            (["a/b", "c/d"], None, (), ["a/b", "c/d"]),
            (["a/b", "a/c", "d/e"], None, (), ["a/*", "d/e"]),
            (["a/b", "a/c"], None, ("a/x",), ["a/b", "a/c"]),
            (["a/b", "a/c"], None, ("a/x/y",), ["a/b", "a/c"]),
            (["a/b", "a/c"], "r", (), ["a/*", "r"]),
            (["a/b"], "a/b", (), ["a/b"]),
            (["a/b", "a/c"], "a/r", (), ["a/b", "a/c", "a/r"]),
        ],
    )
    def test_exact_paths_and_a_folder_where_all_of_it_is_ours(
        self, paths: list[str], bearer: str | None, others: tuple[str, ...], blocks: list[str]
    ) -> None:
        text = grants.policy("kv", paths, bearer, "state/id", "state/acks", others=others)
        named = re.findall(r'^path "kv/data/([^"]+)"', text, re.MULTILINE)
        assert named == [*blocks, "state/claims/*", "state/acks/*", "state/id"]

    @pytest.mark.parametrize(
        ("survey", "saw"),
        [
            (Survey(), True),
            (Survey(under="a"), True),
            (Survey(under="a/b"), False),
            (Survey(under="b"), False),
            (Survey(cut=True), False),
            (Survey(unlisted=("a",)), False),
            (Survey(unlisted=("a/b",)), False),
            (Survey(unlisted=("ab", "b/a")), True),
        ],
    )
    def test_a_folder_that_was_not_seen_as_a_whole_is_not_granted_so(self, survey: Survey, saw: bool) -> None:
        text = grants.policy("kv", ["a/b", "a/c"], None, "state/id", "state/acks", saw=survey.saw)
        assert ("kv/data/a/*" in text, "kv/data/a/b" in text) == (saw, not saw)
