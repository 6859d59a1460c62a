import npm_packages
import pypi_packages
import pytest


@pytest.fixture(scope="session")
def npm() -> npm_packages.Npm:
    return npm_packages.installed()


@pytest.fixture(scope="session")
def pypi() -> pypi_packages.PyPI:
    return pypi_packages.installed()
