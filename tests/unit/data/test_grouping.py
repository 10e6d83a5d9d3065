from headwater.data.grouping import grouped


def test_a_group_is_full_by_number_or_by_characters():
    items = ["a", "b", "c", "d" * 10, "e", "f"]
    assert list(grouped(items, 3, len, limit=10)) == [["a", "b", "c"], ["d" * 10], ["e", "f"]]


def test_an_item_beyond_the_limit_is_a_group_of_its_own():
    assert list(grouped(["a" * 50, "b"], 9, len, limit=10)) == [["a" * 50], ["b"]]


def test_nothing_gives_no_group():
    assert list(grouped([], 3, len)) == []
