package contract

// Mlflow is MlflowService, put together of the domains that answer it.
type Mlflow struct {
	TrackingService
	TracingService
	ArtifactsService
}
