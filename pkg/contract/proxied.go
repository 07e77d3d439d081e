package contract

// ProxiedMethod is one remote procedure that MLflow's Python server answers, and why.
type ProxiedMethod struct {
	Service   string
	Name      string
	Endpoints []Endpoint
	Reason    string
}
