"""Which tasks and pruners take part."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from smc_harness.discovery.catalogue import Catalogue
from smc_harness.discovery.loading import Locator, Plugin, load, offered
from smc_harness.errors import PluginError, UsageError, nearest


@dataclass(frozen=True)
class Variant:
    """A pruner under a name of its own with other parameters: `NAME=PRUNER,PARAM=VALUE,...`."""

    name: str
    base: str
    settings: Mapping[str, str]


@dataclass
class Choice:
    """How plugins of a catalogue are chosen and loaded; what cannot be loaded joins the catalogue's problems.

    settings: {plugin name: {parameter: text}} from --set. used: the names in `settings` that found their plugin.
    """

    catalogue: Catalogue
    settings: Mapping[str, Mapping[str, str]]
    used: set[str] = field(default_factory=set)

    def choose(self, kind: str, patterns: Sequence[str], variants: Sequence[Variant] = ()) -> list[Plugin]:
        """Plugins of a kind, sorted by name.

        patterns: exact names or globs over collected and installed plugins and variants. Empty: the collected ones,
        or where there are none the installed ones (none if all that was collected is broken), less those that want to
        be named (`default = False`), and every variant.
        One that lacks a parameter it needs is passed over where a glob matched it.
        Raises UsageError for a pattern that matches nothing, and for any other one that lacks a parameter.
        """
        known = self.catalogue.known(kind)
        own = {variant.name: variant for variant in variants}
        if clash := sorted(own.keys() & known.keys()):
            raise UsageError(f"--variant {clash[0]}: there is a {kind} of that name; another name would work")
        names: Iterable[str]
        if patterns:
            names = self._matching(kind, patterns, [*known, *own])
        else:
            installed = {} if self.catalogue.all_broken else self.catalogue.installed[kind]
            names = [*(self.catalogue.collected[kind] or installed), *own]
        chosen = []
        for name in sorted(names):
            if not (patterns or name in own or self._runs_unnamed(known[name])):
                continue
            plugin = self._variant(own[name], known) if name in own else self._load(known[name], name, {})
            if plugin is None or patterns or name in own or plugin.default:
                self.used.add(name)
                chosen.append(plugin)
        by_name = {*patterns, *own} if patterns else set(names)
        return [plugin for plugin in chosen if plugin is not None and self._has_all(plugin, plugin.name in by_name)]

    def _has_all(self, plugin: Plugin, by_name: bool) -> bool:
        """Whether the plugin was told all that it needs. by_name: whether that it was not is an error."""
        if not plugin.lacking:
            return True
        lack = f"{plugin.name} needs {plugin.lacking[0]}; --set {plugin.name}.{plugin.lacking[0]}=VALUE would work"
        if by_name:
            raise UsageError(lack)
        self.catalogue.notices.append(f"{lack}; passed over")
        return False

    def _matching(self, kind: str, patterns: Sequence[str], names: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for pattern in patterns:
            matches = {pattern} & set(names) or set(fnmatch.filter(names, pattern))
            if not matches:
                broken = [f"; {problem.source}: {problem.reason}" for problem in self.catalogue.problems]
                hint = nearest(pattern, names) or f"; smc-harness list {kind}s shows what there is"
                raise UsageError(f"no {kind} {pattern!r}{hint}{''.join(broken)}")
            found |= matches
        return found

    def _variant(self, variant: Variant, known: Mapping[str, Locator]) -> Plugin | None:
        if variant.base not in known:
            raise UsageError(f"--variant {variant.name}: no pruner {variant.base!r}{nearest(variant.base, known)}")
        return self._load(known[variant.base], variant.name, variant.settings)

    def _runs_unnamed(self, locator: Locator) -> bool:
        """Asked of the module alone: most plugins want to be named, and loading one takes its parameters and rules."""
        try:
            return bool(getattr(offered(locator), "default", True))
        except PluginError as error:
            self.catalogue.add_problem(locator.source, error)
            return False

    def _load(self, locator: Locator, name: str, settings: Mapping[str, str]) -> Plugin | None:
        given = {**settings, **self.settings.get(name, {})}
        try:
            return load(locator, given, name)
        except PluginError as error:
            self.catalogue.add_problem(locator.source, error)
            return None


def read_variant(text: str) -> Variant:
    """`NAME=PRUNER` or `NAME=PRUNER,PARAM=VALUE,...`. Raises UsageError."""
    name, equals, rest = text.partition("=")
    base, *pairs = rest.split(",")
    settings = dict(pair.partition("=")[::2] for pair in pairs)
    if not (name and equals and base) or not all(pair.partition("=")[0] and "=" in pair for pair in pairs):
        raise UsageError(f"--variant {text}: something like snip-64=snip,batches=64 would work")
    return Variant(name, base, settings)


def read_settings(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """`NAME.PARAM=VALUE` each; later ones win. Raises UsageError."""
    settings: dict[str, dict[str, str]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        name, dot, parameter = target.rpartition(".")
        if not (equals and dot and name and parameter):
            raise UsageError(f"--set {text}: something like snip.batches=8 would work")
        settings.setdefault(name, {})[parameter] = value
    return settings
