"""What the lab takes from the machine, and what it must not."""

from __future__ import annotations

import os

import pytest

from loadtests.rig.machine import forget_settings


def test_settings_of_the_users_own_shop_do_not_reach_the_shops_of_the_lab(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_DATABASE_URL", "postgresql://localhost/mine")
    monkeypatch.setenv("SHOP_HOME", "here")
    assert "SHOP_DATABASE_URL" in forget_settings()
    assert "SHOP_DATABASE_URL" not in os.environ
    assert os.environ["SHOP_HOME"] == "here"
