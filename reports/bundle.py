"""Bundles JavaScript modules into one classic script, so that a page opens from a file without a server.

Browsers refuse to import modules from file:// addresses. Each module becomes a function scope that returns its exports;
scopes are in the order of the imports. Two forms are supported: ``import { a, b } from "./name.mjs";`` and ``export``
before a ``const``, ``function`` or ``class``. Anything else is an error, as is a name that the imported module does not
export.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w-]+\.mjs)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|function|class) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*|</script|<!--", re.MULTILINE | re.IGNORECASE)

Read = Callable[[str], str]


class BundleError(Exception):
    """Raised for a module that cannot be bundled; the message names the module and the statement."""


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module's imported names by file, its exported names, and its text without either statement."""

    name: str
    imports: tuple[tuple[str, tuple[str, ...]], ...]
    exports: tuple[str, ...]
    body: str


def bundle(entry: str, read: Read) -> str:
    """The script that runs the module `entry`; `read` returns the text of a module by its file name."""
    modules = _in_order(entry, read, {}, ())
    for module in modules.values():
        for name, wanted in module.imports:
            missing = sorted(set(wanted) - set(modules[name].exports))
            if missing:
                raise BundleError(f"{module.name} imports {', '.join(missing)}, which {name} does not export")
    return '"use strict";\n(() => {\n' + "".join(_scope(module) for module in modules.values()) + "})();\n"


def parse(name: str, text: str) -> Module:
    """The parts of one module."""
    imports = tuple((file, tuple(_names(names))) for names, file in _IMPORT.findall(text))
    body = _EXPORT.sub("", _IMPORT.sub("", text)).strip()
    other = _OTHER.search(body)
    if other:
        raise BundleError(f'{name}: expected import {{ ... }} from "./....mjs" or export const, got {other[0]!r}')
    return Module(name=name, imports=imports, exports=tuple(_EXPORT.findall(text)), body=body)


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _in_order(name: str, read: Read, done: dict[str, Module], open_: tuple[str, ...]) -> dict[str, Module]:
    """`done` extended by the module and its imports, each after all that it imports itself."""
    if name in open_:
        raise BundleError(f"modules import one another: {' -> '.join((*open_, name))}")
    if name in done:
        return done
    module = parse(name, read(name))
    for file, _ in module.imports:
        done = _in_order(file, read, done, (*open_, name))
    return {**done, name: module}


def _scope(module: Module) -> str:
    imports = "".join(f"const {{ {', '.join(names)} }} = {_variable(file)};\n" for file, names in module.imports)
    exports = f"return {{ {', '.join(module.exports)} }};\n"
    return f"const {_variable(module.name)} = (() => {{\n{imports}{module.body}\n{exports}}})();\n"


def _variable(file: str) -> str:
    return "$" + re.sub(r"\W", "_", file.removesuffix(".mjs"))
