"""MLflow's stores, with Go for what is native and MLflow's own SQLAlchemy code for the rest.

Importing this package loads neither MLflow nor Go; its modules load MLflow.
"""
