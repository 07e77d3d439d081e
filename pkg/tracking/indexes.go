package tracking

import "github.com/mlflow/mlflow-go/pkg/database"

// Indexes are what MLflow's schema lacks for searches among very many runs: the runs of an
// experiment from the newest on, and those that logged a metric by its value. They are the
// operator's choice (`mlflow-go db index`), for every write pays for them.
func Indexes() []database.Index {
	return []database.Index{
		{
			Name:  "mlflow_go_runs_by_start_time",
			Table: "runs",
			Columns: []database.IndexColumn{
				{Name: "experiment_id"}, {Name: "start_time", Descending: true}, {Name: "run_uuid"},
			},
		},
		{
			Name:    "mlflow_go_latest_metrics_by_value",
			Table:   "latest_metrics",
			Columns: []database.IndexColumn{{Name: "key"}, {Name: "is_nan"}, {Name: "value"}, {Name: "run_uuid"}},
		},
	}
}
