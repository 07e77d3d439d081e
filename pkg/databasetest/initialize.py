"""Make MLflow's schema in the empty database whose URI is the first argument."""

import sys

from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

_initialize_tables(create_sqlalchemy_engine(sys.argv[1]))
