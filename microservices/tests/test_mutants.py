"""The list of mutations fits the code, and a mutation that cannot be applied is an error."""

from __future__ import annotations

import ast
from dataclasses import replace

import pytest

from microservices.tests.mutants import ROOT, MutantsError, applied, mutated
from microservices.tests.mutations import MUTATIONS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.what)
def test_the_code_of_each_mutation_occurs_once_and_its_replacement_is_valid_python(mutation):
    code = (ROOT / mutation.file).read_text()
    changed = mutated(mutation, code)
    assert changed != code
    ast.parse(changed)
    for tests in mutation.caught_by:
        assert (ROOT / tests).exists()


def test_a_mutation_whose_code_has_changed_is_an_error():
    gone = replace(MUTATIONS[0], old="what was never there")
    with pytest.raises(MutantsError, match=r"occurs 0 times .* not once; update"):
        mutated(gone, "code")


def test_the_tree_is_restored_after_a_mutation(tmp_path):
    mutation = MUTATIONS[0]
    file = tmp_path / mutation.file
    file.parent.mkdir(parents=True)
    file.write_text(mutation.old)
    with applied(mutation, tmp_path):
        assert file.read_text() == mutation.new
    assert file.read_text() == mutation.old
