"""Sentences in lists."""

from service.core.text.sentences import uncapitalized, unrepeated


def test_sentences_of_the_text_before_are_not_repeated() -> None:
    texts = ["It memorizes. Add data. Now p is 0.1.", "It memorizes. Add data. Now q is 0.", "It memorizes. Stop."]
    assert list(unrepeated(texts)) == ["It memorizes. Add data. Now p is 0.1.", "Now q is 0.", "Stop."]
    assert list(unrepeated(["Stop.", "Stop."])) == ["Stop.", ""]


def test_titles_keep_names_inside_a_sentence() -> None:
    titles = ["More dropout", "TrivialAugment", "AdamW instead of Adam", "Mixup"]
    assert [*map(uncapitalized, titles)] == ["more dropout", "TrivialAugment", "AdamW instead of Adam", "mixup"]
