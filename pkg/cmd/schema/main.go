// Schema writes pkg/schema's structs and revisions from the MLflow that is installed.
//
// It lets MLflow make a database and looks at the result, since MLflow's migrations, not its
// models, decide what a user's database has.
package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/format"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"
)

//go:embed describe.py
var describe string

//go:embed schema.tmpl
var templateText string

type description struct {
	MLflowVersion string   `json:"mlflow_version"`
	Head          string   `json:"head"`
	Revisions     []string `json:"revisions"`
	Tables        []table  `json:"tables"`
}

type table struct {
	Name    string   `json:"name"`
	Model   string   `json:"model"`
	Columns []column `json:"columns"`
}

type column struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Nullable   bool   `json:"nullable"`
	PrimaryKey bool   `json:"primary_key"`
	Generated  bool   `json:"generated"` // numbered by the database
	Computed   bool   `json:"computed"`  // from other columns
}

func main() {
	python := flag.String("python", "python3", "a Python that has MLflow")
	folder := flag.String("output", ".", "where the generated file goes")
	flag.Parse()
	if err := generate(context.Background(), *python, *folder); err != nil {
		log.Fatal(err)
	}
}

func generate(ctx context.Context, python, folder string) error {
	command := exec.CommandContext(ctx, python, "-c", describe) //nolint:gosec // the contributor names it
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		return fmt.Errorf("describing MLflow's schema: %w\n%s", err, complaint.String())
	}
	var found description
	if err := json.Unmarshal(output, &found); err != nil {
		return fmt.Errorf("reading the description of MLflow's schema: %w", err)
	}
	code, err := render(found)
	if err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(folder, "schema.gen.go"), code, 0o644) //nolint:gosec,mnd // source code is no secret
}

func render(found description) ([]byte, error) {
	parsed, err := template.New("schema").Parse(templateText)
	if err != nil {
		return nil, fmt.Errorf("parsing the template: %w", err)
	}
	var rendered bytes.Buffer
	if err := parsed.Execute(&rendered, found); err != nil {
		return nil, fmt.Errorf("running the template: %w", err)
	}
	formatted, err := format.Source(rendered.Bytes())
	if err != nil {
		return nil, fmt.Errorf("formatting the generated code: %w", err)
	}

	return formatted, nil
}

// GoName is the struct's name: MLflow's class without its prefix.
func (t table) GoName() string { return strings.TrimPrefix(t.Model, "Sql") }

// Dates says whether a column needs package time.
func (d description) Dates() bool {
	for _, table := range d.Tables {
		for _, column := range table.Columns {
			if column.Type == "DATE" {
				return true
			}
		}
	}

	return false
}

// initialisms are the words that Go spells in capitals.
var initialisms = map[string]string{
	"api": "API", "dek": "DEK", "id": "ID", "json": "JSON", "kek": "KEK", "mcp": "MCP", "ms": "MS", "ns": "NS",
	"sql": "SQL", "ttl": "TTL", "uri": "URI", "url": "URL", "uuid": "UUID",
}

// GoName is the field's name.
func (c column) GoName() string {
	var name strings.Builder
	for word := range strings.SplitSeq(c.Name, "_") {
		if spelled, ok := initialisms[word]; ok {
			name.WriteString(spelled)
		} else if word != "" {
			name.WriteString(strings.ToUpper(word[:1]) + word[1:])
		}
	}

	return name.String()
}

var errNoGoType = errors.New("no Go type for")

// GoType is the field's type: a pointer where the column may be NULL.
func (c column) GoType() (string, error) {
	const text = "string"
	types := map[string]string{
		"VARCHAR": text, "TEXT": text, "JSON": text, "BIGINT": "int64", "INTEGER": "int64",
		"FLOAT": "float64", "BOOLEAN": "bool", "DATE": "time.Time", "BLOB": "[]byte",
	}
	goType, ok := types[c.Type]
	if !ok {
		return "", fmt.Errorf("column %s: %w %s", c.Name, errNoGoType, c.Type)
	}
	if c.Nullable && goType != "[]byte" {
		return "*" + goType, nil
	}

	return goType, nil
}

// Tag is gorm's. It takes back gorm's own ideas: that a lone integer key is generated, and that a
// field named CreatedAt is gorm's to fill.
func (c column) Tag() string {
	tag := "column:" + c.Name
	if c.PrimaryKey {
		tag += ";primaryKey"
	}
	if c.PrimaryKey && (c.Type == "INTEGER" || c.Type == "BIGINT") {
		tag += ";autoIncrement:" + strconv.FormatBool(c.Generated)
	}
	if c.Computed {
		tag += ";->" // for reading only
	}
	if c.Name == "created_at" || c.Name == "updated_at" {
		tag += ";autoCreateTime:false;autoUpdateTime:false"
	}

	return tag
}
