package search

// Query is all that a search request says beside the entities it is limited to.
type Query struct {
	Comparisons []Comparison
	Orders      []Order
	// Offset is the number of entities that earlier pages had.
	Offset int64
	// Position is where the page begins, if the token says so; Offset then only counts.
	Position *Position
}

// Parse reads a request's filter, order_by clauses and page token. Of several faults it reports
// the one that MLflow does.
func (g *Grammar) Parse(filter string, orderBy []string, pageToken string) (Query, error) {
	conditions, err := g.parseFilter(filter)
	if err != nil {
		return Query{}, err
	}

	var query Query

	judge := func() (err error) {
		query.Comparisons, err = g.judge(conditions)

		return err
	}
	order := func() (err error) {
		query.Orders, err = g.ParseOrderBy(orderBy)

		return err
	}
	turn := func() (err error) {
		query.Offset, err = ParsePageToken(pageToken)
		query.Position = parsePosition(pageToken)

		return err
	}

	steps := []func() error{judge, order, turn}

	switch {
	case g.judgedLast:
		steps = []func() error{order, turn, judge}
	case g.order.first:
		steps = []func() error{order, judge, turn}
	}

	for _, step := range steps {
		if err := step(); err != nil {
			return Query{}, err
		}
	}

	return query, nil
}
