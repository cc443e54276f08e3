from monolith.dataset import CATEGORIES, slug
from monolith.storefront import pictures
from monolith.storefront.pictures import emblem, picture
from monolith.storefront.rendering import money, steps, words


def test_every_category_has_a_shape_of_its_own():
    assert {slug(name) for name in CATEGORIES} <= set(pictures._SHAPES)


def test_a_product_keeps_its_picture():
    first = picture("P00001", "tea")
    picture.cache_clear()
    assert picture("P00001", "tea") == first


def test_products_of_one_category_look_different():
    assert len({picture(f"P{number:05d}", "tea") for number in range(200)}) > 100


def test_a_category_without_a_shape_is_a_parcel():
    assert emblem("submarines").split(">", 1)[1] == emblem("parcel").split(">", 1)[1]


def test_a_picture_is_hidden_from_screen_readers():
    assert 'aria-hidden="true"' in picture("P00001", "tea")


def test_money_is_written_as_euros():
    assert [money(0), money(5), money(1250), money(123456789)] == [
        "€0.00",
        "€0.05",
        "€12.50",
        "€1,234,567.89",
    ]


def test_category_slugs_become_words():
    assert words("garden-tools") == "Garden Tools"


def test_page_numbers_leave_out_the_middle():
    assert steps(1, 1) == [1]
    assert steps(2, 4) == [1, 2, 3, 4]
    assert steps(50, 100) == [1, None, 49, 50, 51, None, 100]
    assert steps(4, 9) == [1, 2, 3, 4, 5, None, 9]
