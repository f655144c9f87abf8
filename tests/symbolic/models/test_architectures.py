"""Each family's configuration builds its own class, with the forms that it has."""

import pytest

from symbolic import config, models
from symbolic.errors import UserError
from symbolic.models import architectures
from tests.symbolic.models.conftest import SHAPES


def test_every_family_names_its_class() -> None:
    assert set(architectures.CLASSES) == set(config.FAMILIES) == {shape.family for shape in SHAPES.values()}


@pytest.mark.parametrize("name", SHAPES)
def test_a_configuration_builds_its_class(name: str) -> None:
    model = models.build(SHAPES[name])
    kind = type(model)
    assert f"{kind.__module__}.{kind.__qualname__}" == architectures.CLASSES[SHAPES[name].family]
    assert model.config == SHAPES[name]
    assert set(models.paths(model)) <= {"attention", "scan", "lstm"}


def test_a_form_reaches_the_model_that_has_it() -> None:
    assert models.paths(models.build(SHAPES["gpt2"], attention="explicit", scan="recurrence")) == {
        "attention": "explicit"
    }
    assert models.paths(models.build(SHAPES["mamba"], scan="recurrence"))["scan"] == "recurrence"
    with pytest.raises(UserError):
        models.build(SHAPES["gpt2"], attention="no such form")


def test_a_tied_matrix_counts_once() -> None:
    tied, loose = (models.build(SHAPES["gpt2"], tied=tied) for tied in (True, False))
    shape = SHAPES["gpt2"]
    assert models.n_parameters(loose) - models.n_parameters(tied) == shape.vocab_size * 32
