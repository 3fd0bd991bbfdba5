"""``list``: methods, data sets, tables and figures."""

import json
from argparse import Namespace

from bench.plugin.registry import registry


def list_command(options: Namespace) -> int:
    rows = {"methods": methods, "datasets": datasets, "tables": tables, "figures": figures}[options.what]()
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        extra = f"  [{row['parameters']}]" if row.get("parameters") else ""
        print(f"{row['name']:{width}}  {row['summary']}{extra}")
    return 0


def methods() -> list[dict[str, str]]:
    """Bare and composed names with what they are."""
    frontends = [p for p in registry().plugins if p.kind == "frontend"]
    rows = []
    for plugin in registry().plugins:
        if plugin.kind == "method":
            rows.append({"name": plugin.name, "summary": plugin.summary, "parameters": plugin.parameters})
            if plugin.attributes.get("scales", "front-end") == "front-end":
                rows += [
                    {
                        "name": f"{f.name}+{plugin.name}",
                        "summary": f"{plugin.name} behind {f.name}: {f.summary}",
                        "parameters": ", ".join(filter(None, (plugin.parameters, f.parameters))),
                    }
                    for f in frontends
                ]
    return rows


def datasets() -> list[dict[str, str]]:
    plugins = [p for p in registry().plugins if p.kind == "dataset"]
    return [{"name": p.name, "summary": p.summary, "parameters": p.parameters} for p in plugins]


def tables() -> list[dict[str, str]]:
    from bench.report.published import table_kinds

    return [{"name": kind.name, "summary": kind.title} for kind in table_kinds().values()]


def figures() -> list[dict[str, str]]:
    from bench.figures.kinds import KINDS

    return [{"name": kind.name, "summary": kind.title} for kind in KINDS.values()]
