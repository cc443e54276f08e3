"""The monolith and this service show the same pages, so they keep the same files, by copy and not by import.

When this service leaves the repository, this test stays behind.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parents[1]
THERE = HERE.parents[1] / "monolith" / "storefront"
SAME = ["templates/*.html", "static/*", "motifs.svg", "pictures.py", "forms.py", "rendering.py"]

pytestmark = pytest.mark.skipif(not THERE.is_dir(), reason="the monolith is not here to compare with")


@pytest.mark.parametrize("pattern", SAME)
def test_both_shops_have_the_same_files(pattern):
    ours, theirs = ({file.name: text(file) for file in side.glob(pattern)} for side in (HERE, THERE))
    assert ours == theirs
    assert ours


def text(file: Path) -> str:
    return file.read_text("utf-8").replace("from monolith.storefront", "from microservices.storefront")
