"""Describe the schema that the installed MLflow makes, as JSON on standard output."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import sqlalchemy
from alembic.script import ScriptDirectory
from mlflow.store.db import utils
from mlflow.store.db.base_sql_model import Base


def describe_columns(inspector: sqlalchemy.Inspector, table: sqlalchemy.Table) -> list[dict[str, Any]]:
    """Describe a table's columns as they are in the database."""
    key = inspector.get_pk_constraint(table.name)["constrained_columns"]
    generated = table.autoincrement_column
    return [
        {
            "name": column["name"],
            "type": str(column["type"]).partition("(")[0],
            "nullable": column["nullable"],
            "primary_key": column["name"] in key,
            "generated": generated is not None and generated.name == column["name"],
            "computed": "computed" in column,
        }
        for column in inspector.get_columns(table.name)
    ]


def main() -> None:
    """Make a database, look at it, and print what was seen."""
    scripts = ScriptDirectory.from_config(utils._get_alembic_config(""))  # noqa: SLF001 MLflow has no public way
    models = {mapper.local_table.name: mapper.class_.__name__ for mapper in Base.registry.mappers}
    with tempfile.TemporaryDirectory() as folder:
        engine = utils.create_sqlalchemy_engine(f"sqlite:///{Path(folder) / 'mlflow.db'}")
        utils._initialize_tables(engine)  # noqa: SLF001 as above
        inspector = sqlalchemy.inspect(engine)
        description = {
            "mlflow_version": mlflow.__version__,
            "head": utils._get_latest_schema_revision(),  # noqa: SLF001 as above
            "revisions": [script.revision for script in scripts.walk_revisions()],
            "tables": [
                {"name": name, "model": models[name], "columns": describe_columns(inspector, table)}
                for name, table in sorted(Base.metadata.tables.items())
            ],
        }
        engine.dispose()
    json.dump(description, sys.stdout)


if __name__ == "__main__":
    main()
