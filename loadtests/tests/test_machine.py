"""The lab's shops get their settings from the lab alone."""

from __future__ import annotations

import os

import pytest

from loadtests.rig.machine import clear_shop_settings


def test_settings_of_the_users_own_shop_do_not_reach_the_shops_of_the_lab(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SHOP_DATABASE_URL", "postgresql://localhost/mine")
    monkeypatch.setenv("SHOP_HOME", "here")
    assert "SHOP_DATABASE_URL" in clear_shop_settings()
    assert "SHOP_DATABASE_URL" not in os.environ
    assert os.environ["SHOP_HOME"] == "here"
