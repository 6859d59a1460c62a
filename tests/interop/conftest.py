import npm_packages
import pytest


@pytest.fixture(scope="session")
def npm() -> npm_packages.Npm:
    return npm_packages.installed()
