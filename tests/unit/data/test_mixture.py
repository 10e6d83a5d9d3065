"""Sources mixed by weight: exact proportions, every item of a source before any comes again."""

from collections import Counter

import numpy as np
import pytest

from headwater.data.batches import TokenBatches
from headwater.data.mixture import Mixture
from headwater.data.store import Store, write_store
from headwater.data.tokenizer import Tokenizer
from headwater.data.windows import Windows
from headwater.errors import UsageError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    arrays = [np.full(1 + number % 9, number, np.uint16) for number in range(1000)]
    return write_store(tmp_path_factory.mktemp("store") / "s.arrow", arrays, range(1000))


@pytest.fixture
def mixture(store: Store) -> Mixture:
    sources = [Windows(store, 16, documents=range(900)), Windows(store, 16, documents=range(900, 1000))]
    return Mixture(sources, [1.0, 1.0])


def test_every_stretch_holds_the_exact_proportions(mixture: Mixture):
    for epoch in range(3):
        items = mixture.order(np.arange(1000), 5, epoch)
        assert (items < 900).sum() == 500


def test_a_small_source_comes_round_whole_before_it_comes_again(mixture: Mixture):
    items = mixture.order(np.arange(1000), 5, 0)
    assert set(Counter(items[items >= 900].tolist()).values()) == {5}
    assert max(Counter(items[items < 900].tolist()).values()) == 1


def test_the_large_source_is_whole_after_its_own_length(mixture: Mixture):
    two = np.concatenate([mixture.order(np.arange(1000), 5, epoch) for epoch in range(2)])
    large = two[two < 900]
    assert sorted(large[:900]) != large[:900].tolist()
    assert len(set(large.tolist())) == 900


def test_rounds_count_how_often_each_source_was_read(mixture: Mixture):
    items = mixture.order(np.arange(1000), 5, 0)
    tokens = int(mixture.lengths[items].sum())
    assert mixture.rounds(tokens) == pytest.approx((500 / 900, 5.0), rel=0.02)


def test_any_part_of_the_order_can_be_asked_for_alone(mixture: Mixture):
    whole = mixture.order(np.arange(1000), 5, 1)
    assert mixture.order(np.arange(333, 777), 5, 1).tolist() == whole[333:777].tolist()


def test_items_keep_their_tokens(mixture: Mixture):
    items = np.array([999, 0, 950, 3])
    expected = [token for item in items for token in [item] * (1 + item % 9)]
    assert mixture.tokens(items).tolist() == expected
    assert mixture.lengths[items].tolist() == [3, 3, 8, 6]


def test_an_item_is_of_a_document_of_its_own_source(mixture: Mixture):
    assert [mixture.document(item) for item in (0, 899, 900, 950)] == [0, 899, 900, 950]


def test_what_follows_an_item_is_its_sources_to_say(store: Store):
    sources = [Windows(store, 8, documents=range(part * 100, part * 100 + 100)) for part in range(2)]
    mixture = Mixture(sources, [1, 1])
    first = len(sources[0])
    items = np.arange(len(mixture))
    expected = [*sources[0].following(np.arange(first)), *sources[1].following(np.arange(len(sources[1])))]
    assert mixture.following(items).tolist() == expected
    assert -1 in expected
    assert max(expected) >= 0


def test_a_mixture_makes_batches(mixture: Mixture):
    tokenizer = Tokenizer.learn(["text"], 260)
    stream = TokenBatches(mixture, tokenizer, tokens_per_batch=64, seed=5)
    items = [int(i) for n in range(stream.batches_per_epoch(0)) for i in stream.batch(n).items]
    assert sum(item >= 900 for item in items) == 500


def test_uneven_weights_are_rounded_to_a_thousandth(store: Store):
    sources = [Windows(store, 16, documents=range(part * 100, part * 100 + 100)) for part in range(3)]
    items = Mixture(sources, [1, 2, 0.0001]).order(np.arange(1000), 5, 0)
    assert Counter((items // 100).tolist()) == {0: 333, 1: 666, 2: 1}


def test_a_weight_of_nothing_is_refused(store: Store):
    with pytest.raises(UsageError, match="above 0"):
        Mixture([Windows(store, 16)], [0.0])
