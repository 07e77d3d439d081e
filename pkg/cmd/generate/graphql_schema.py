"""Writes MLflow's GraphQL schema to ``pkg/graphql``, from the installed MLflow.

``python pkg/cmd/generate/graphql_schema.py`` rewrites ``schema.graphql`` and ``introspection.json``; with
``--check`` it only says whether it would. The second is what MLflow answers to a query for all of the
first: it keeps the order of types, which the language of schemas has no say in.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from graphql import get_introspection_query, graphql_sync, print_schema
from mlflow.server.graphql.graphql_schema_extensions import schema

FOLDER = Path(__file__).parents[3] / "pkg" / "graphql"
# Nothing of MLflow's types nests lists and non-nulls deeper than this.
TYPE_DEPTH = 9


def files() -> dict[str, str]:
    """Return the text of each file."""
    query = get_introspection_query(
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        input_object_one_of=True,
        type_depth=TYPE_DEPTH,
    )
    answer = graphql_sync(schema.graphql_schema, query)
    assert answer.data is not None, answer.errors  # noqa: S101 -- the schema would be broken
    return {
        "schema.graphql": "# Written by pkg/cmd/generate/graphql_schema.py; do not edit.\n\n"
        + print_schema(schema.graphql_schema)
        + "\n",
        "introspection.json": json.dumps(answer.data["__schema"], separators=(",", ":")) + "\n",
    }


def main() -> None:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description="Write MLflow's GraphQL schema.")
    parser.add_argument("--check", action="store_true", help="fail when a file is out of date")
    arguments = parser.parse_args()
    for name, text in files().items():
        file = FOLDER / name
        if not arguments.check:
            file.write_text(text, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != text:
            parser.exit(1, f"{file} is out of date: run mage generate\n")


if __name__ == "__main__":
    main()
