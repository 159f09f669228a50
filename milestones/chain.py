"""The checked chain: what a milestone does not declare, it shares byte for byte with the last one.

    python -m milestones.chain check          prove it, and print how much of each script is shared
    python -m milestones.chain fix NAME       carry a corrected NAME to all scripts that share it
    python -m milestones.chain diff 00 01     print what one milestone does to another: the lesson

A script is a row of named symbols: `imports` (all of them together), `Hyperparameters`, `PRESETS`,
`EXERCISES`, `COMPILED`, and every top-level function and class. A class with a base spelled `nn.X`,
or derived from such a class, counts method by method: `GPT` is its header, with the docstring and
what else stands above the methods, and `GPT.forward` is a method. If all of it is added or removed,
`GPT` alone declares it.

To a symbol belong its decorators and the comment lines directly above it. A line like `# ---- GPT`
is a banner: it belongs to no symbol, may differ, and ends the comment below it. The module's
docstring and its last statement may differ too. Any other line between symbols is an error.
"""

import argparse
import ast
import difflib
import os
import re
import shutil
import symtable
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parent
KINDS = ("added", "changed", "removed")
SETTINGS = ("imports", "Hyperparameters", "PRESETS", "EXERCISES", "COMPILED")
SECTIONS = ("docstring", *SETTINGS, "functions and classes", "main line")
BANNER = re.compile(r"\s*# ?[-=─]{3,}")
FOREIGN = re.compile(r"\.|(exercises|solutions|milestones\.milestone\d\w*)(\.|$)")
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
SHORT = 40  # lines: a changed symbol up to this long is shown whole
COUNTED = """
Unchanged are the symbols that equal those of the milestone before. Counted are the lines of code
and comment in symbols: no blank lines or banners, not the module's docstring or last statement."""


class ChainError(Exception):
    """Something only the user can put right, said in one line."""


# ---- reading scripts and chain.toml --------------------------------------------------------------


@dataclass(frozen=True)
class Symbol:
    start: int  # index of its first line in the file
    lines: list[str]


@dataclass(frozen=True)
class Script:
    path: Path
    tree: ast.Module
    scope: symtable.SymbolTable
    lines: list[str]
    rows: list[tuple[str, Symbol]]  # everything that has a name, in the order of the file

    @property
    def stem(self) -> str:
        return self.path.parent.name

    @property
    def symbols(self) -> dict[str, Symbol]:
        return {name: row for name, row in self.rows if name not in ("docstring", "main line")}

    def at(self, line: int, message: str) -> str:
        """A problem, at a path from the root of the repository: it reads the same everywhere."""
        return f"{'/'.join(self.path.parts[-3:])}:{line}: {message}"


def section(node: ast.stmt) -> str | None:
    """The section a module-level statement belongs to; None if no section has room for it."""
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return "docstring"
        case ast.Import() | ast.ImportFrom():
            return "imports"
        case (
            ast.ClassDef(name="Hyperparameters" as name)
            | ast.Assign(targets=[ast.Name(id="PRESETS" | "EXERCISES" | "COMPILED" as name)])
            | ast.AnnAssign(target=ast.Name(id="PRESETS" | "EXERCISES" | "COMPILED" as name))
        ):
            return name
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return "functions and classes"
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return "main line"
    return None


def first_line(node: ast.stmt, lines: list[str]) -> int:
    """Index of the line a statement starts at, with its decorators and the comments above it."""
    start = min(n.lineno for n in (node, *getattr(node, "decorator_list", ()))) - 1
    while start and re.match(r"\s*#", lines[start - 1]) and not BANNER.match(lines[start - 1]):
        start -= 1
    return start


def spans(tree: ast.Module, lines: list[str]) -> Iterator[tuple[str, int, int]]:
    """Every name, the index of its first line, and the index behind its last one."""
    modules: set[str] = set()  # the classes that count method by method
    for kind, group in groupby(tree.body, section):
        nodes = list(group)
        if kind == "imports":  # one symbol, with what stands between two of them
            yield kind, first_line(nodes[0], lines), nodes[-1].end_lineno
            continue
        for node in nodes if kind else ():
            name, methods = getattr(node, "name", kind), []
            bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
            if any(base in modules or re.match(r"(torch\.)?nn\.", base) for base in bases):
                modules.add(name)
                methods = [item for item in node.body if isinstance(item, FUNCTION)]
            starts = [first_line(method, lines) for method in methods]
            yield name, first_line(node, lines), min(starts, default=node.end_lineno)
            for method, start in zip(methods, starts, strict=True):
                yield f"{name}.{method.name}", start, method.end_lineno


def read(path: Path) -> Script:
    try:
        source = path.read_bytes().decode()
        tree, scope = ast.parse(source), symtable.symtable(source, path.name, "exec")
    except (OSError, SyntaxError, ValueError) as error:
        place = f"{'/'.join(path.parts[-3:])}:{getattr(error, 'lineno', None) or 1}"
        why = getattr(error, "strerror", None) or getattr(error, "msg", None) or error
        raise ChainError(f"{place}: cannot be read: {why}") from None
    lines = source.split("\n")  # a "\r" stays in its line: joining gives the file back as it was
    rows = []
    for name, start, end in spans(tree, lines):
        while not lines[end - 1].strip():  # between the header of a class and its first method
            end -= 1
        rows.append((name, Symbol(start, lines[start:end])))
    return Script(path, tree, scope, lines, rows)


def symbols(path: Path) -> dict[str, Symbol]:
    return read(Path(path)).symbols


def manifest(root: Path) -> tuple[list[str], dict[str, dict[str, list[str]]]]:
    """From chain.toml: the order of the milestones, and what each of them declares."""
    why = "expected a list `order`, and for each milestone a table of lists of names"
    try:
        tables = tomllib.loads((root / "chain.toml").read_text(encoding="utf-8"))
        order = tables.pop("order", None)
        lists = [order, *(names for table in tables.values() for names in table.values())]
        if all(isinstance(n, list) and all(isinstance(name, str) for name in n) for n in lists):
            return order, tables
    except AttributeError:  # something else stands where a table should
        pass
    except (OSError, ValueError) as error:  # a TOMLDecodeError tells the line
        why = getattr(error, "strerror", None) or error
    raise ChainError(f"{root.name}/chain.toml: cannot be read: {why}")


def script(name: str, root: Path) -> Script:
    """The script of a milestone, which may be called `01`, `milestone01` or by its full name."""
    order, _ = manifest(root)
    for stem in order:
        if name == stem or stem.startswith((f"{name}_", f"milestone{name}_")):
            return read(root / stem / "train_gpt.py")
    raise ChainError(f"unknown milestone {name!r}: choose from {', '.join(order)}")


# ---- comparing two scripts -----------------------------------------------------------------------


def outermost(names: Iterable[str]) -> list[str]:
    """Without the methods of a class that is in the list itself."""
    names = list(names)
    return [name for name in names if "." not in name or name.split(".")[0] not in names]


def compare(earlier: Script, later: Script) -> dict[str, list[str]]:
    old, new = earlier.symbols, later.symbols
    return {
        "added": outermost(name for name in new if name not in old),
        "changed": [n for n in new if n in old and new[n].lines != old[n].lines],
        "removed": outermost(name for name in old if name not in new),
    }


def shared(earlier: Script, later: Script) -> tuple[int, int]:
    """Lines of the later script in unchanged symbols, and in all symbols; blank ones left out."""
    old, same, total = earlier.symbols, 0, 0
    for name, symbol in later.symbols.items():
        size = sum(bool(line.strip()) for line in symbol.lines)
        total += size
        same += size if name in old and old[name].lines == symbol.lines else 0
    return same, max(total, 1)


def share_text(earlier: Script, later: Script) -> str:
    same, total = shared(earlier, later)
    return f"{same} of {total} lines ({same / total:.0%})"


def unchanged_share(a: str, b: str, root: Path = ROOT) -> float:
    same, total = shared(script(a, root), script(b, root))
    return same / total


# ---- check: one script ---------------------------------------------------------------------------


def section_problems(it: Script) -> Iterator[str]:
    reached = 0
    for index, node in enumerate(it.tree.body):
        kind = section(node)
        if kind is None or (kind == "docstring" and index):
            code = it.lines[node.lineno - 1]
            yield it.at(node.lineno, f"`{code}` is in no section: move it into a function")
        elif SECTIONS.index(kind) < reached:
            below = f"stands below the {SECTIONS[reached]}; the order is {', '.join(SECTIONS)}"
            yield it.at(node.lineno, f"{getattr(node, 'name', kind)}: {below}")
        else:
            reached = SECTIONS.index(kind)
    count = Counter(name for name, _ in it.rows)
    for name, row in it.rows:
        if count.pop(name, 1) > 1:
            yield it.at(row.start + 1, f"{name}: stands here and further down: keep one")
    main = f'if __name__ == "__main__":\n    main("milestones.{it.stem}.train_gpt")'
    if ast.unparse(it.tree.body[-1:]) != ast.unparse(ast.parse(main)):
        yield it.at(len(it.lines), f"main line: the script must end with {' '.join(main.split())}")


def stray_lines(it: Script) -> Iterator[str]:
    """A line that no symbol owns would drift from script to script unseen."""
    owned = {i for _, row in it.rows for i in range(row.start, row.start + len(row.lines))}
    for node in it.tree.body:
        if section(node) is None:  # section_problems has it
            owned.update(range(node.lineno - 1, node.end_lineno))
    told = False
    for index, line in enumerate(it.lines):
        stray = bool(line.strip()) and index not in owned
        if stray and not told and not BANNER.match(line):
            todo = "comments stand on top of code, class-level statements above the methods"
            yield it.at(index + 1, f"`{line.strip()}` belongs to no symbol: {todo}")
        told = stray  # once for a block of lines; the block under a banner is its text


def import_problems(it: Script) -> Iterator[str]:
    for node in ast.walk(it.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            origin = "." * getattr(node, "level", 0) + (getattr(node, "module", None) or "")
            names = [f"{origin}.{alias.name}" if origin else alias.name for alias in node.names]
            if any(map(FOREIGN.match, names)):
                why = "a script is complete: it takes nothing from another milestone or a learner"
                yield it.at(node.lineno, f"`{ast.unparse(node)}`: {why}")


# What a learner implements is bound to its name once the script is imported. That reaches a caller
# only if it looks up the bare global name each time it runs.


def exercise_lists(it: Script) -> dict[ast.stmt, tuple[str, ...]]:
    """EXERCISES, and COMPILED if there is one, with the names in it."""
    nodes = [node for node in it.tree.body if section(node) in ("EXERCISES", "COMPILED")]
    parts = [getattr(node.value, "elts", ()) for node in nodes]
    names = [tuple(e.value for e in part if isinstance(e, ast.Constant)) for part in parts]
    return dict(zip(nodes, names, strict=True))


def listing_problems(it: Script) -> Iterator[str]:
    defined = {n.name: n for n in it.tree.body if isinstance(n, FUNCTION | ast.ClassDef)}
    for node, names in exercise_lists(it).items():
        if ast.unparse(node.value) != repr(names):
            yield it.at(node.lineno, f"{section(node)}: must be a tuple of strings")
        for name in names:
            if name not in defined:
                todo = "list a top-level function or a whole class of this script, never a method"
                yield it.at(node.lineno, f"{name}: is in {section(node)}, but {todo}")
            elif defined[name].decorator_list:
                why = "is decorated, and a learner's own would not be: decorate what calls it"
                yield it.at(defined[name].lineno, f"{name}: {why}")


def at_import(node: ast.AST) -> Iterator[ast.AST]:
    """What Python evaluates while it imports: all but the bodies of functions and annotations."""
    yield node
    children = ast.iter_child_nodes(node)
    if isinstance(node, FUNCTION):
        children = [*node.decorator_list, node.args]
    elif isinstance(node, ast.arguments):
        children = [*node.defaults, *filter(None, node.kw_defaults)]
    elif isinstance(node, ast.AnnAssign):
        children = filter(None, [node.value])
    for child in children:
        yield from at_import(child)


def scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from scopes(child)


def lookup_problems(it: Script) -> Iterator[str]:
    listed = {name for names in exercise_lists(it).values() for name in names}
    nodes = list(ast.walk(it.tree))
    early = [it.tree, *(node for node in nodes if isinstance(node, ast.ClassDef | ast.arguments))]
    for node in dict.fromkeys(node for top in early for node in at_import(top)):
        if isinstance(node, ast.Name) and node.id in listed:
            why = "is used at import, in a class body or in a default: call it inside a function"
            yield it.at(node.lineno, f"{node.id}: {why}")
    for scope in scopes(it.scope):
        for symbol in scope.get_symbols() if scope.get_type() == "function" else ():
            if symbol.get_name() in listed and (symbol.is_local() or symbol.is_declared_global()):
                why = f"is bound again inside {scope.get_name()}: use another name there"
                yield it.at(scope.get_lineno(), f"{symbol.get_name()}: {why}")
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in ("globals", "eval", "exec", "__import__"):
            yield it.at(node.lineno, f"{node.id}: leads round the bare global name: do without")


RULES = (section_problems, stray_lines, import_problems, listing_problems, lookup_problems)


# ---- check: the chain ----------------------------------------------------------------------------


def step_problems(earlier: Script, later: Script, table: dict[str, list[str]]) -> Iterator[str]:
    old, new = earlier.symbols, later.symbols

    def at(name: str, message: str) -> str:
        return later.at(new[name].start + 1 if name in new else 1, f"{name}: {message}")

    for kind, names in compare(earlier, later).items():
        declared = table.get(kind, [])
        for name in (name for name in names if name not in declared):
            undo = {
                "added": "delete it",
                "changed": f"undo it with `fix {name} --from {earlier.stem}`",
                "removed": "put it back",
            }[kind]
            todo = f"list it under `{kind}` of [{later.stem}] in chain.toml, or {undo}"
            yield at(name, f"{kind}, but not declared: {todo}")
        for name in (name for name in declared if name not in names):
            covered = kind != "changed" and name.split(".")[0] in names
            why = "its class stands for it" if covered else f"was not {kind}"
            yield at(name, f"declared as {kind}, but {why}: take it out of chain.toml")
    for name, times in Counter(name for names in table.values() for name in names).items():
        if times > 1:
            yield at(name, f"listed {times} times under [{later.stem}] in chain.toml: keep one")
    before = [name for name in old if name in new]
    after = [name for name in new if name in old]
    blocks = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    kept = {name for block in blocks for name in before[block.a : block.a + block.size]}
    for name in outermost(name for name in before if name not in kept):
        place = f"below {before[before.index(name) - 1]}" if name != before[0] else "first"
        yield at(name, f"moved: put it {place}, where {earlier.stem} has it")


def manifest_problems(root: Path, order: list[str], tables: dict) -> Iterator[str]:
    here = f"{root.name}/chain.toml"
    for stem in sorted({path.parent.name for path in root.glob("milestone*/train_gpt.py")}):
        if stem not in order:
            yield f"{here}: {stem}: has a script, but is not in `order`: add it"
    for stem, table in tables.items():
        if stem not in order[1:] or not {*table} <= {*KINDS}:
            what = f"{', '.join(KINDS)} of the milestones after the first"
            yield f"{here}: [{stem}]: a table can only hold {what}"


def check(root: Path = ROOT) -> list[str]:
    """Every problem of the chain, a line each."""
    try:
        order, tables = manifest(root)
    except ChainError as error:
        return [str(error)]
    problems = list(manifest_problems(root, order, tables))
    scripts: dict[str, Script] = {}
    for stem in order:
        try:
            scripts[stem] = script(stem, root)
        except ChainError as error:
            problems.append(str(error))
    for it in scripts.values():
        for rule in RULES:
            problems += rule(it)
    for a, b in pairwise(order):
        if a in scripts and b in scripts:
            problems += step_problems(scripts[a], scripts[b], tables.get(b, {}))
    return problems


def share_table(root: Path = ROOT) -> str:
    rows = [("", *KINDS, "unchanged")]
    for earlier, later in pairwise(script(stem, root) for stem in manifest(root)[0]):
        counts = [str(len(names)) for names in compare(earlier, later).values()]
        rows.append((later.stem, *counts, share_text(earlier, later)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    return "\n".join([*lines, COUNTED])


# ---- diff and fix --------------------------------------------------------------------------------


def hunks(kind: str, name: str, old: list[str], new: list[str], start: int) -> Iterator[str]:
    """A change as a unified diff whose hunks are headed by the name of the symbol."""
    context = SHORT if max(len(old), len(new)) <= SHORT else 3
    for line in list(difflib.unified_diff(old, new, n=context, lineterm=""))[2:]:
        if line.startswith("@@"):
            offset = max(int(re.search(r"\+(\d+)", line)[1]), 1)
            yield from ("", f"@@ {kind}: {name}, line {start + offset} @@")
        else:
            yield line.rstrip()


def whole(it: Script, name: str) -> Symbol:
    """A symbol; for a class that counts method by method, all of it."""
    rows = [row for n, row in it.rows if n == name or n.startswith(f"{name}.")]
    return Symbol(rows[0].start, it.lines[rows[0].start : rows[-1].start + len(rows[-1].lines)])


def diff(a: str, b: str, root: Path = ROOT) -> str:
    """The lesson: what milestone `b` does to milestone `a`; its ideas first, then its settings."""
    earlier, later = script(a, root), script(b, root)
    names = compare(earlier, later)
    docstrings = [ast.get_docstring(it.tree) or it.stem for it in (earlier, later)]
    titles = [text.split("\n")[0] for text in docstrings]
    lines = [f"--- {titles[0]}", f"+++ {titles[1]}", *docstrings[1].split("\n")[1:], ""]
    for kind in KINDS:
        text = f"{kind:<11}{', '.join(names[kind]) or 'nothing'}"
        lines += textwrap.wrap(text, 100, subsequent_indent=11 * " ", break_long_words=False)
    lines.append(f"unchanged  {share_text(earlier, later)} stand in names that did not change")
    ideas_first = sorted(later.symbols.items(), key=lambda item: item[0].split(".")[0] in SETTINGS)
    for name, new in ideas_first:
        if name in names["added"]:
            lines += hunks("added", name, [], whole(later, name).lines, new.start)
        elif name in names["changed"]:
            lines += hunks("changed", name, earlier.symbols[name].lines, new.lines, new.start)
    for name in names["removed"]:
        old = whole(earlier, name)
        lines += hunks(f"removed from {a}", name, old.lines, [], old.start)
    return "\n".join(lines)


def heirs(name: str, start: str, root: Path) -> tuple[list[str], str]:
    """The milestones that must share a symbol with `start`, and why no more of them."""
    order, tables = manifest(root)
    found = order[order.index(start) + 1 :]
    for stem in found:
        for kind, names in tables.get(stem, {}).items():
            if name in names or (kind != "changed" and name.split(".")[0] in names):
                return found[: found.index(stem)], f"{stem} declares it as {kind}"
    return found, "the chain ends"


def fix(name: str, source: str | None = None, root: Path = ROOT) -> list[str]:
    """Carry a symbol from `source` (default: the first script that has it) to its heirs."""
    scripts = {stem: script(stem, root) for stem in manifest(root)[0]}
    holders = [stem for stem, it in scripts.items() if name in it.symbols]
    if not holders:
        known = sorted({known for it in scripts.values() for known in it.symbols})
        close = " or ".join(difflib.get_close_matches(name, known, cutoff=0.5))
        hint = f"did you mean {close}?" if close else "no script has it"
        raise ChainError(f"unknown name {name!r}: {hint}")
    start = script(source, root).stem if source else holders[0]
    stems, end = heirs(name, start, root)
    for stem in (start, *stems):
        if stem not in holders:
            raise ChainError(f"{stem} has no {name}, and chain.toml does not say why: see `check`")
    forms = {any(n.startswith(f"{name}.") for n in scripts[m].symbols) for m in (start, *stems)}
    if len(forms) > 1:
        raise ChainError(f"{name} counts method by method in one script, but not in all")
    right = scripts[start].symbols[name].lines
    stale = [scripts[stem] for stem in stems if scripts[stem].symbols[name].lines != right]
    if not source and any(it.symbols[name].lines != stale[0].symbols[name].lines for it in stale):
        raise ChainError(f"{name} has more than two versions: say which is right by --from")
    report = [f"{name} of {start}: {len(stale)} of {len(stems)} scripts rewritten; stopped: {end}"]
    for it in stale:
        old = it.symbols[name]
        write(it.path, [*it.lines[: old.start], *right, *it.lines[old.start + len(old.lines) :]])
        report += ["", it.at(old.start + 1, f"{name}: rewritten")]
        report += hunks("changed", name, old.lines, right, old.start)
    return report


def write(path: Path, lines: list[str]) -> None:
    """Atomically: whoever reads meanwhile, or pulls the plug, finds the old file or the new one."""
    scratch = path.with_suffix(".tmp")
    try:
        scratch.write_bytes("\n".join(lines).encode())
        shutil.copymode(path, scratch)
        scratch.replace(path)
    except OSError as error:
        place = "/".join(path.parts[-3:])
        raise ChainError(
            f"{place}: cannot be written, {error.strerror}: mend it, fix again"
        ) from None


# ---- command line --------------------------------------------------------------------------------


def colored(text: str) -> str:
    """With the colours git gives a diff."""
    lines = []
    for line in text.split("\n"):
        color = {"---": 1, "+++": 1, "@@ ": 36}.get(line[:3]) or {"-": 31, "+": 32}.get(line[:1])
        lines.append(f"\033[{color}m{line}\033[m" if color else line)
    return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")  # one line, without the usage


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(prog="python -m milestones.chain", description="The checked chain.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="prove that only declared names differ")
    command = commands.add_parser("fix", help="carry a correction on, from the first script")
    command.add_argument("name", help="such as get_lr, GPT.forward or imports")
    command.add_argument("--from", dest="source", metavar="01", help="where it is right")
    command = commands.add_parser("diff", help="print what one milestone does to another")
    command.add_argument("a", help="such as 00")
    command.add_argument("b", help="such as 01")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    args, problems = arguments(argv), []
    try:
        if args.command == "check":
            problems = check(root)
            text = "\n".join(problems) or share_table(root)
        elif args.command == "fix":
            text = "\n".join(fix(args.name, args.source, root))
        else:
            text = diff(args.a, args.b, root)
        color = args.command != "check" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        print(colored(text) if color else text, flush=True)
    except ChainError as error:
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head` has seen enough; Python must not flush into it at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
