import string

import pytest

from forerun.domain.reason import Hold, Reason
from forerun.observe.words import SENTENCES, hold_sentence, rps, sentence


def numbers_of(reason):
    return [name for _, name, _, _ in string.Formatter().parse(SENTENCES[reason]) if name]


NUMBERED = [reason for reason in Reason if reason in SENTENCES and numbers_of(reason)]


def test_every_reason_has_a_sentence():
    assert set(SENTENCES) == set(Reason)
    assert all(text.strip() for text in SENTENCES.values())


def test_no_two_reasons_read_the_same():
    assert len(set(SENTENCES.values())) == len(SENTENCES)


@pytest.mark.parametrize("numbers", [None, {}, {"unrelated": 1.0}])
@pytest.mark.parametrize("reason", Reason)
def test_missing_numbers_leave_a_whole_sentence(reason, numbers):
    words = sentence(reason, numbers)
    assert len(words.split()) > 2
    assert not set(words) & set("{}\n")


@pytest.mark.parametrize("reason", NUMBERED)
def test_numbers_are_shown(reason):
    shown = sentence(reason, {name: 4321.0 + index for index, name in enumerate(numbers_of(reason))})
    assert all(str(4321 + index) in shown for index in range(len(numbers_of(reason))))


@pytest.mark.parametrize("reason", NUMBERED)
def test_one_number_is_not_enough_where_two_are_needed(reason):
    first, *others = numbers_of(reason)
    assert ("4321" in sentence(reason, {first: 4321.0})) == (not others)


def test_a_foreign_detail_is_not_a_template():
    assert sentence(Reason.FORBIDDEN, detail="cannot patch {name}").endswith(": cannot patch {name}")
    assert sentence(Reason.MAX_REPLICAS, {"want": 3, "fits": 2}, "{want}").endswith(": {want}")


@pytest.mark.parametrize("reason", Reason)
def test_a_hold_names_its_subject(reason):
    hold = Hold(reason, "recommender", {"want": 40.0, "fits": 12.0}, "raise maxReplicas")
    words = hold_sentence(hold)
    assert words.startswith("recommender: ")
    assert words.endswith(": raise maxReplicas")


def test_a_hold_without_a_subject_begins_with_the_reason():
    assert hold_sentence(Hold(Reason.NOT_LEADER)) == SENTENCES[Reason.NOT_LEADER]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0/s"),
        (0.25, "0.25/s"),
        (999.4, "999/s"),
        (1234.5, "1234/s"),
        (9999.0, "9999/s"),
        (10_000.0, "10k/s"),
        (27_310.0, "27.3k/s"),
    ],
)
def test_demand_for_people(value, shown):
    assert rps(value) == shown


def test_foreign_words_become_one_printable_line():
    hostile = "1\n\x1b[2J" + '{"level": "error"}\r\u2028' + "x" * 5000
    words = hold_sentence(Hold(Reason.METRIC_ABSURD, "web\n", detail=hostile))
    assert words.isprintable()
    assert words.startswith("web: ")
    assert len(words) < 1200
