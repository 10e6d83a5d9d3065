"""The house keeps its shape: no cycles, no giants, no drawers for odds and ends, every public name explained."""

import ast
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "headwater"
FILES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
MAX_PARAMETERS = 8
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "misc", "base", "legacy", "old", "v2"}

# Doors take what the user may say, each by name; the rule is for what calls them from inside. A layer of
# attention is a door of its own: its words are those of the literature.
DOORS = {"command", "pretrain", "finetune", "gain", "options", "build_pool", "MultiHeadAttention.__init__"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def named_functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Functions by name, methods as Class.method."""
    owners = {
        id(child): node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for child in node.body
    }
    for function in functions(tree):
        owner = owners.get(id(function))
        yield (f"{owner}.{function.name}" if owner else function.name), function


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_no_module_imports_itself_through_others() -> None:
    graph = grimp.build_graph("headwater", cache_dir=None)
    for module in sorted(graph.modules):
        if not graph.find_children(module):
            for imported in graph.find_modules_directly_imported_by(module):
                chain = graph.find_shortest_chain(importer=imported, imported=module)
                assert chain is None, f"{module} → {' → '.join(chain or ())}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_can_be_read_without_scrolling_for_ever(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path.name} has {lines} lines; find the two things it does and part them"


def test_functions_are_short() -> None:
    lengths = sorted(length(function) for path in FILES for function in functions(parsed(path)))
    assert statistics.median(lengths) <= 12
    assert lengths[int(len(lengths) * 0.9)] <= 40


def test_calls_name_few_things() -> None:
    crowded = [
        f"{path.relative_to(ROOT)}:{function.lineno} {name} takes {count}"
        for path in FILES
        for name, function in named_functions(parsed(path))
        if name not in DOORS
        and (count := len([*function.args.args, *function.args.kwonlyargs]) - _bound(function))
        > MAX_PARAMETERS
    ]
    assert not crowded, "\n".join(crowded)


def _bound(function: Function) -> int:
    return int(bool(function.args.args) and function.args.args[0].arg in ("self", "cls"))


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert not [path for path in FILES if path.stem in FORBIDDEN_NAMES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_is_explained(path: Path) -> None:
    tree = parsed(path)
    unexplained: list[str] = []
    if path.name != "__init__.py" and not ast.get_docstring(tree):
        unexplained.append("the module itself")
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                unexplained.append(node.name)
            if isinstance(node, ast.ClassDef) and not _is_protocol(node):
                unexplained += [f"{node.name}.{method.name}" for method in _public_methods(node)]
    assert not unexplained, f"{path.relative_to(ROOT)}: {', '.join(unexplained)}"


def _is_protocol(node: ast.ClassDef) -> bool:
    return any(isinstance(parent, ast.Name) and parent.id == "Protocol" for parent in node.bases)


def _public_methods(node: ast.ClassDef) -> Iterator[Function]:
    """Public methods without a docstring; ``forward`` is what the class says of itself."""
    methods = (method for method in node.body if isinstance(method, ast.FunctionDef))
    for method in methods:
        if not method.name.startswith("_") and method.name != "forward" and not ast.get_docstring(method):
            yield method


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_pickled_and_nothing_is_left_to_do(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {"pickle", "shelve", "joblib", "dill", "marshal"}
    assert "torch.load(" not in text
    assert "TODO" not in text
    assert "FIXME" not in text


def test_the_tests_run_on_the_interpreter_that_the_project_names() -> None:
    assert sys.version_info >= (3, 11)
