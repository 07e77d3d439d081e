module github.com/mlflow/mlflow-go/magefiles

go 1.26.0

require (
	github.com/magefile/mage v1.17.2
	golang.org/x/sync v0.24.0
)
